//! What the engine's process may touch.
//!
//! Landlock needs no privilege and cannot be undone. It binds the calling thread and the threads it makes, so it is
//! called after the library is loaded and before the engine, which makes its threads when it connects.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus,
};

use crate::error::Error;

/// Read by the engine or the C library: figures of this process and the machine, time zones, name resolution, random
/// numbers. Not `/proc` as a whole: Landlock lets a process read the environment of others of the same user.
const READABLE: [&str; 20] = [
    "/proc/self",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/stat",
    "/proc/loadavg",
    "/proc/uptime",
    "/proc/version",
    "/proc/vmstat",
    "/proc/filesystems",
    "/proc/sys",
    "/sys",
    "/usr/share/zoneinfo",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/dev/urandom",
    "/dev/random",
];

/// How far the process is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confinement {
    /// Files outside the data folder are out of reach.
    Confined,
    /// This kernel has no Landlock.
    None,
}

/// Confines this thread, and those it will make, to the data folder. No outgoing connections unless `network`.
pub(crate) fn confine(data: &Path, network: bool) -> Result<Confinement, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Confine(error.to_string());
    // the newest with rights on files; an older kernel enforces those it knows
    let all = AccessFs::from_all(ABI::V5);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .map_err(|error| failed(&error))?;
    if !network {
        ruleset = ruleset.handle_access(AccessNet::ConnectTcp).map_err(|error| failed(&error))?;
    }
    let mut ruleset = ruleset.create().map_err(|error| failed(&error))?;
    let inside = all & !BitFlags::from(AccessFs::Execute);
    let mut rules: Vec<(&Path, BitFlags<AccessFs>)> = vec![(data, inside)];
    let readable = AccessFs::ReadFile | AccessFs::ReadDir;
    rules.extend(READABLE.iter().map(|path| (Path::new(*path), readable)));
    let null = AccessFs::ReadFile | AccessFs::WriteFile;
    rules.push((Path::new("/dev/null"), null));
    for (path, access) in rules {
        let Ok(fd) = PathFd::new(path) else { continue };
        if path.starts_with("/proc") {
            // a rule is bound to an inode, and /proc makes a new one when it has forgotten the old: keep it in use
            std::mem::forget(PathFd::new(path));
        }
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI::V5) };
        ruleset = ruleset.add_rule(PathBeneath::new(fd, access)).map_err(|error| failed(&error))?;
    }
    let status = ruleset.restrict_self().map_err(|error| failed(&error))?;
    Ok(match status.ruleset {
        RulesetStatus::NotEnforced => Confinement::None,
        _ => Confinement::Confined,
    })
}

/// Asks the kernel for SIGTERM when the thread that spawned this process ends; false if the parent already has.
pub(crate) fn die_with_parent(parent: u32) -> bool {
    // SAFETY: a plain system call on integers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
    std::os::unix::process::parent_id() == parent
}

/// A write to a pipe whose reader is gone must be an error, not the end of the process.
pub(crate) fn ignore_sigpipe() {
    // SAFETY: installs no handler, only the ignore disposition.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_confined_thread_reaches_its_folder_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        // a thread of its own: there is no way back
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(confine(folder.path(), false).expect("confined"), Confinement::Confined);
                let kind = |result: std::io::Result<()>| result.map_err(|error| error.kind());
                let denied = Err(ErrorKind::PermissionDenied);
                assert_eq!(kind(std::fs::read("/etc/passwd").map(drop)), denied);
                let parent = format!("/proc/{}/environ", std::os::unix::process::parent_id());
                assert_eq!(kind(std::fs::read(parent).map(drop)), denied);
                assert_eq!(kind(std::fs::write("/tmp/walhouse-never", "x")), denied);
                assert_eq!(kind(std::fs::remove_dir(folder.path())), denied);
                assert_eq!(kind(std::process::Command::new("/bin/true").spawn().map(drop)), denied);
                assert_eq!(kind(std::net::TcpStream::connect(address).map(drop)), denied);
                let inside = folder.path().join("a");
                std::fs::create_dir(&inside).expect("a folder");
                std::fs::write(inside.join("b"), "x").expect("a file");
                std::fs::rename(inside.join("b"), folder.path().join("c")).expect("moved");
                assert!(std::fs::read_to_string("/proc/self/status").is_ok());
                std::thread::spawn(|| assert!(std::fs::read("/etc/passwd").is_err())).join().expect("inherited");
            });
        });
        assert!(std::fs::read("/etc/passwd").is_ok());
    }
}
