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

/// Read by the engine or the C library: its own process' figures, time zones, name resolution, random numbers.
const READABLE: [&str; 11] = [
    "/proc",
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
    // V6 is the newest whose rights are all used here; an older kernel enforces what it knows
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
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI::V5) };
        ruleset = ruleset.add_rule(PathBeneath::new(fd, access)).map_err(|error| failed(&error))?;
    }
    let status = ruleset.restrict_self().map_err(|error| failed(&error))?;
    Ok(match status.ruleset {
        RulesetStatus::NotEnforced => Confinement::None,
        _ => Confinement::Confined,
    })
}

/// Asks the kernel for SIGTERM when the thread that spawned this process ends; false if it already has.
pub(crate) fn die_with_parent() -> bool {
    // SAFETY: plain system calls on integers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
        libc::getppid() != 1
    }
}

/// A write to a pipe whose reader is gone must be an error, not the end of the process.
pub(crate) fn ignore_sigpipe() {
    // SAFETY: installs no handler, only the ignore disposition.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}
