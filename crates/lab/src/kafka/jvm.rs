//! A Java server's command line.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::home::Home;
use crate::error::{Error, Result};

/// How a Java server is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tuning {
    /// Small and up in seconds: only the quick compiler, the serial collector. For tests and the demo.
    Small,
    /// As these servers are run in earnest: both compilers and G1. For benchmarks.
    Full,
}

/// `java` with these flags on both machines that we compare: quick to start, or quick in the long run.
impl Tuning {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Small => &["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"],
            Self::Full => &["-XX:+UseG1GC"],
        }
    }
}

/// The command that runs `main` of the jars under `jars/lib`; more arguments may follow.
pub(super) fn command(home: &Home, jars: &Path, tuning: Tuning, heap_mib: (u32, u32), main: &str) -> Result<Command> {
    let log4j = home.write_properties("log4j.properties", &log4j())?;
    let mut command = Command::new(java()?);
    command
        .args(tuning.flags())
        .arg(format!("-Xms{}m", heap_mib.0))
        .arg(format!("-Xmx{}m", heap_mib.1))
        // Loopback of the fourth version is all that there is; times in logs and texts are UTC.
        .args(["-Djava.net.preferIPv4Stack=true", "-Djava.awt.headless=true", "-Duser.timezone=UTC"])
        .arg(format!("-Dlog4j.configuration=file:{}", log4j.display()))
        .arg("-cp")
        // Java expands the star itself.
        .arg(format!("{}/*", jars.join("lib").display()))
        .arg(main)
        .current_dir(home.path())
        // What a user set for other Java programs.
        .env_remove("JAVA_TOOL_OPTIONS")
        .env_remove("_JAVA_OPTIONS");
    Ok(command)
}

/// `$JAVA_HOME/bin/java`, else the one of `PATH`.
fn java() -> Result<PathBuf> {
    let of_home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    let of_path = std::env::var_os("PATH");
    let of_path = of_path.iter().flat_map(std::env::split_paths).map(|folder| folder.join("java"));
    of_home.into_iter().chain(of_path).find(|program| program.is_file()).ok_or_else(|| Error::MissingProgram {
        program: "Java 17".into(),
        install: "apt-get install -y openjdk-17-jre-headless",
    })
}

fn log4j() -> Vec<(String, String)> {
    [
        ("log4j.rootLogger", "WARN, stdout"),
        ("log4j.logger.org.apache.kafka.connect", "INFO"),
        ("log4j.logger.org.apache.kafka.connect.runtime.AbstractWorkerSourceTask", "WARN"),
        ("log4j.logger.io.debezium", "INFO"),
        ("log4j.logger.org.reflections", "ERROR"),
        ("log4j.appender.stdout", "org.apache.log4j.ConsoleAppender"),
        ("log4j.appender.stdout.layout", "org.apache.log4j.PatternLayout"),
        ("log4j.appender.stdout.layout.ConversionPattern", "%d{ISO8601} %-5p %m [%c]%n"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec()
}
