//! What the extraction worker, and a program that helps it, give up before they read their first byte of a stranger's file.
//!
//! Limits on memory and open files everywhere; on Linux also the file system (Landlock) and the system calls that
//! reach the network, start programs or touch other processes (seccomp). The worker gets bytes on its standard input
//! and gives text on its standard output, so it loses nothing that it needs.
//!
//! A kernel without Landlock or seccomp still has the limits.

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
        linux::deny_files(&[]);
        linux::deny_processes();
        linux::deny_calls(&[linux::WORKER_NEEDS_NOT, linux::NOBODY_NEEDS, linux::OLD_CALLS]);
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
    setrlimit(Resource::FSIZE, 0, 0)?; // what is written goes into a pipe
    setrlimit(Resource::NOFILE, open_files, open_files)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{collections::BTreeMap, path::Path};

    use landlock::{
        ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, path_beneath_rules,
    };
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
        TargetArch,
    };

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
    pub(super) const WORKER_NEEDS_NOT: &[i64] = &[
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_open_by_handle_at,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_renameat2,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_mkdirat,
        libc::SYS_mknodat,
        libc::SYS_fchmodat,
        libc::SYS_fchownat,
        libc::SYS_truncate,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_utimensat,
        libc::SYS_setxattr,
        libc::SYS_lsetxattr,
        libc::SYS_removexattr,
        libc::SYS_lremovexattr,
        SYS_FCHMODAT2,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_send_signal,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
    ];

    /// The same number everywhere; not in every version of the C library's headers.
    const SYS_FCHMODAT2: i64 = 452;

    /// What the same was done with before there were folders to start from.
    #[cfg(target_arch = "x86_64")]
    pub(super) const OLD_CALLS: &[i64] = &[
        libc::SYS_open,
        libc::SYS_creat,
        libc::SYS_unlink,
        libc::SYS_rmdir,
        libc::SYS_rename,
        libc::SYS_renameat,
        libc::SYS_link,
        libc::SYS_symlink,
        libc::SYS_mkdir,
        libc::SYS_mknod,
        libc::SYS_chmod,
        libc::SYS_chown,
        libc::SYS_lchown,
        libc::SYS_utime,
        libc::SYS_utimes,
        libc::SYS_fork,
        libc::SYS_vfork,
    ];
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) const OLD_CALLS: &[i64] = &[];

    /// None of these system calls. Whether the kernel holds to it.
    pub(super) fn deny_calls(denied: &[&[i64]]) -> bool {
        deny(denied.iter().copied().flatten().map(|call| (*call, Vec::new())).collect(), libc::EACCES)
    }

    /// Threads may be started, processes neither started nor signalled. Whether the kernel holds to it.
    pub(super) fn deny_processes() -> bool {
        let makes_a_process =
            SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(libc::CLONE_THREAD as u64), 0)
                .and_then(|condition| SeccompRule::new(vec![condition]));
        let Ok(makes_a_process) = makes_a_process else { return false };
        // To end itself by a signal is left to it.
        let signals_another =
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, u64::from(std::process::id()))
                .and_then(|condition| SeccompRule::new(vec![condition]));
        let Ok(signals_another) = signals_another else { return false };
        // Its arguments lie in memory, where a filter cannot look. Told that there is no such call, the C library takes `clone`.
        deny(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
            && deny(
                BTreeMap::from([(libc::SYS_clone, vec![makes_a_process]), (libc::SYS_tgkill, vec![signals_another])]),
                libc::EACCES,
            )
    }

    /// Answers calls that a rule names with an error. Whether the kernel holds to it.
    fn deny(rules: BTreeMap<i64, Vec<SeccompRule>>, error: i32) -> bool {
        let arch = if cfg!(target_arch = "x86_64") {
            TargetArch::x86_64
        } else if cfg!(target_arch = "aarch64") {
            TargetArch::aarch64
        } else {
            return false;
        };
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(error.unsigned_abs()), arch)
            .and_then(BpfProgram::try_from)
            .is_ok_and(|program| seccompiler::apply_filter(&program).is_ok())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        net::TcpListener,
        os::unix::{fs::PermissionsExt, net::UnixStream},
        process::Command,
        thread,
    };

    use super::*;

    const FOLDER: &str = "SIDENOTE_CAGE_TEST_FOLDER";

    /// What code that takes the worker over could try; each with whether it was refused.
    #[test]
    #[ignore = "the other test runs it in a process of its own"]
    fn child() {
        let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
        let secret = folder.join("secret");
        enter(2 << 30).unwrap();
        let tried = [
            ("read a file", fs_err::read(&secret).is_err()),
            ("read a system file", fs_err::read("/etc/passwd").is_err()),
            ("list a folder", fs_err::read_dir(&folder).is_err()),
            ("write a file", fs_err::write(folder.join("new"), "x").is_err()),
            ("rename a file", fs_err::rename(&secret, folder.join("other")).is_err()),
            ("link a file", fs_err::hard_link(&secret, folder.join("other")).is_err()),
            ("remove a file", fs_err::remove_file(&secret).is_err()),
            ("make a folder", fs_err::create_dir(folder.join("deep")).is_err()),
            ("change a mode", fs_err::set_permissions(&secret, PermissionsExt::from_mode(0o777)).is_err()),
            ("listen", TcpListener::bind("127.0.0.1:0").is_err()),
            ("make a socket", UnixStream::pair().is_err()),
            ("start a program", Command::new("/bin/true").status().is_err()),
        ];
        assert_eq!(thread::spawn(|| 7).join().unwrap(), 7, "threads are needed");
        for (what, was_refused) in tried {
            assert!(was_refused, "it can {what}");
        }
    }

    #[test]
    fn the_worker_reaches_no_file_no_network_and_no_program() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("secret"), "the heron").unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["cage::tests::child", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
    }
}
