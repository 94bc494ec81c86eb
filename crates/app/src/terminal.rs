//! One place for everything that is written to standard error while progress bars may be up.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

use indicatif::MultiProgress;

/// All bars of the process. Log lines go through it, so that they scroll above the bars.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// The bars.
pub(crate) fn bars() -> &'static MultiProgress {
    &BARS
}

/// True when a person watches.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// A line on standard error, above the bars.
pub(crate) fn line(text: &str) {
    // There is nobody left to tell when standard error is gone.
    let _ = BARS.suspend(|| writeln!(io::stderr(), "{text}"));
}

/// Standard error for the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
