//! What the extraction worker, and a program that helps it, give up before they read their first byte of a stranger's file.
//!
//! Limits on memory and open files everywhere; on Linux also the file system (Landlock) and the system calls that
//! reach the network, start programs or touch other processes (seccomp). The worker gets bytes on its standard input
//! and gives text on its standard output, so it loses nothing that it needs.
//!
//! A kernel without Landlock or seccomp still has the limits; [`enter`] says what holds, and the worker reports it.

use std::io;
#[cfg(target_os = "linux")]
use std::path::{Path, PathBuf};

/// Enters the cage: no way back for this process.
///
/// # Errors
/// When a limit cannot be set. A kernel that lacks Landlock or seccomp is not an error.
pub(crate) fn enter(memory_bytes: u64) -> io::Result<()> {
    limit(memory_bytes, 16)?;
    #[cfg(target_os = "linux")]
    {
        let files = linux::deny_files(&[]);
        let calls = linux::deny_calls(&[linux::WORKER_NEEDS_NOT, linux::NOBODY_NEEDS]);
        tracing::debug!(files, calls, "extraction worker is confined");
    }
    Ok(())
}

/// Enters the cage of a program that is about to be started in this process's place: it reads the system's files, its own
/// and those under `data`, and writes none.
///
/// # Errors
/// As [`enter`].
#[cfg(target_os = "linux")]
pub(crate) fn enter_as_helper(memory_bytes: u64, program: &Path, data: Option<&Path>) -> io::Result<()> {
    limit(memory_bytes, 64)?;
    rlimit::setrlimit(rlimit::Resource::FSIZE, 0, 0)?;
    let program = fs_err::canonicalize(program)?;
    let system = ["/bin", "/etc", "/lib", "/lib64", "/nix/store", "/opt", "/usr"].map(Path::new);
    // Beside `bin` lie the libraries and the data of a program that did not come with the system; beside those, anything.
    let prefix = program.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let own = ["lib", "lib64", "share"].map(|folder| prefix.join(folder));
    let own = own.iter().map(PathBuf::as_path).filter(|folder| folder.is_dir());
    let readable: Vec<&Path> = system.into_iter().chain([program.as_path()]).chain(own).chain(data).collect();
    linux::deny_files(&readable);
    linux::deny_calls(&[linux::NOBODY_NEEDS]);
    Ok(())
}

fn limit(memory_bytes: u64, open_files: u64) -> io::Result<()> {
    use rlimit::{Resource, setrlimit};
    #[cfg(not(target_os = "macos"))] // macOS refuses this limit; its worker has the time limit alone
    setrlimit(Resource::AS, memory_bytes, memory_bytes)?;
    #[cfg(target_os = "macos")]
    let _ = memory_bytes;
    setrlimit(Resource::CORE, 0, 0)?; // a core file would hold the document
    setrlimit(Resource::NOFILE, open_files, open_files)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{collections::BTreeMap, path::Path};

    use landlock::{
        ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, path_beneath_rules,
    };
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

    /// No file may be opened, made or removed, but for reading and running what lies under `readable`. Whether the kernel
    /// holds to it.
    pub(super) fn deny_files(readable: &[&Path]) -> bool {
        let restricted = Ruleset::default()
            .handle_access(AccessFs::from_all(ABI::V5))
            .and_then(Ruleset::create)
            .and_then(|rules| rules.add_rules(path_beneath_rules(readable, AccessFs::from_read(ABI::V5))))
            .and_then(landlock::RulesetCreated::restrict_self);
        restricted.is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced)
    }

    /// The network, other processes, and ways around a list such as this.
    pub(super) const NOBODY_NEEDS: &[i64] = &[
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept4,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_unlinkat,
        libc::SYS_mount,
        libc::SYS_bpf,
        libc::SYS_io_uring_setup,
        libc::SYS_keyctl,
        libc::SYS_memfd_create,
    ];

    /// Files and other programs.
    pub(super) const WORKER_NEEDS_NOT: &[i64] =
        &[libc::SYS_openat, libc::SYS_openat2, libc::SYS_execve, libc::SYS_execveat];

    /// None of these system calls. Whether the kernel holds to it.
    pub(super) fn deny_calls(denied: &[&[i64]]) -> bool {
        let arch = if cfg!(target_arch = "x86_64") {
            TargetArch::x86_64
        } else if cfg!(target_arch = "aarch64") {
            TargetArch::aarch64
        } else {
            return false;
        };
        let rules: BTreeMap<i64, Vec<seccompiler::SeccompRule>> =
            denied.iter().copied().flatten().map(|call| (*call, Vec::new())).collect();
        let refusal = SeccompAction::Errno(libc::EACCES as u32);
        SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch)
            .and_then(BpfProgram::try_from)
            .is_ok_and(|program| seccompiler::apply_filter(&program).is_ok())
    }
}
