//! What the extraction worker gives up before it reads its first byte of a stranger's file.
//!
//! Limits on memory and open files everywhere; on Linux also the file system (Landlock) and the system calls that
//! reach the network, start programs or touch other processes (seccomp). The worker gets bytes on its standard input
//! and gives text on its standard output, so it loses nothing that it needs.
//!
//! A kernel without Landlock or seccomp still has the limits; [`enter`] says what holds, and the worker reports it.

use std::io;

/// Enters the cage: no way back for this process.
///
/// # Errors
/// When a limit cannot be set. A kernel that lacks Landlock or seccomp is not an error.
pub(crate) fn enter(memory_bytes: u64) -> io::Result<()> {
    use rlimit::{Resource, setrlimit};
    #[cfg(not(target_os = "macos"))] // macOS refuses this limit; its worker has the time limit alone
    setrlimit(Resource::AS, memory_bytes, memory_bytes)?;
    #[cfg(target_os = "macos")]
    let _ = memory_bytes;
    setrlimit(Resource::CORE, 0, 0)?; // a core file would hold the document
    setrlimit(Resource::NOFILE, 16, 16)?;
    #[cfg(target_os = "linux")]
    {
        let files = linux::deny_files();
        let calls = linux::deny_calls();
        tracing::debug!(files, calls, "extraction worker is confined");
    }
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use landlock::{ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetStatus};
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

    /// No file may be opened, made or removed. Whether the kernel holds to it.
    pub(super) fn deny_files() -> bool {
        let restricted = Ruleset::default()
            .handle_access(AccessFs::from_all(ABI::V5))
            .and_then(Ruleset::create)
            .and_then(landlock::RulesetCreated::restrict_self);
        restricted.is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced)
    }

    /// No network, no other program, no other process. Whether the kernel holds to it.
    pub(super) fn deny_calls() -> bool {
        let arch = if cfg!(target_arch = "x86_64") {
            TargetArch::x86_64
        } else if cfg!(target_arch = "aarch64") {
            TargetArch::aarch64
        } else {
            return false;
        };
        let denied = [
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_listen,
            libc::SYS_accept4,
            libc::SYS_sendto,
            libc::SYS_sendmsg,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_unlinkat,
            libc::SYS_mount,
            libc::SYS_bpf,
            libc::SYS_io_uring_setup,
            libc::SYS_keyctl,
            libc::SYS_memfd_create,
        ];
        let rules: BTreeMap<i64, Vec<seccompiler::SeccompRule>> =
            denied.into_iter().map(|call| (call, Vec::new())).collect();
        let refusal = SeccompAction::Errno(libc::EACCES as u32);
        SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch)
            .and_then(BpfProgram::try_from)
            .is_ok_and(|program| seccompiler::apply_filter(&program).is_ok())
    }
}
