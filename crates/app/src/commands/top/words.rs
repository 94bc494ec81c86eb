//! Numbers as people read them at a glance.

/// `12.3k`, `4.5M`.
pub(super) fn count(number: f64) -> String {
    let (scaled, unit) = scaled(number, 1_000.0, &["", "k", "M", "G", "T"]);
    if unit.is_empty() { format!("{scaled:.0}") } else { format!("{scaled:.1}{unit}") }
}

/// `12.3 KiB`.
pub(super) fn bytes(number: f64) -> String {
    let (scaled, unit) = scaled(number, 1_024.0, &["B", "KiB", "MiB", "GiB", "TiB"]);
    if unit == "B" { format!("{scaled:.0} B") } else { format!("{scaled:.1} {unit}") }
}

fn scaled<'a>(number: f64, step: f64, units: &[&'a str]) -> (f64, &'a str) {
    let mut scaled = number.max(0.0);
    let mut unit = units.first().copied().unwrap_or_default();
    for next in units.iter().skip(1) {
        if scaled < step {
            break;
        }
        scaled /= step;
        unit = next;
    }
    (scaled, unit)
}

/// `0.2 s`, `1 min 5 s`, `3 h 2 min`, `4 d`.
pub(super) fn seconds(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 10.0 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..172_800 => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d", whole / 86_400),
    }
}

/// `87 ms`, `1.2 s`.
pub(super) fn millis(millis: f64) -> String {
    if millis < 1_000.0 { format!("{millis:.0} ms") } else { seconds(millis / 1_000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_a_glance() {
        assert_eq!([count(7.4), count(999.0), count(12_345.0), count(4.5e6)], ["7", "999", "12.3k", "4.5M"]);
        assert_eq!([bytes(512.0), bytes(1536.0), bytes(5e9)], ["512 B", "1.5 KiB", "4.7 GiB"]);
        assert_eq!(
            [seconds(0.24), seconds(42.2), seconds(65.0), seconds(7_320.0), seconds(4e5)],
            ["0.2 s", "42 s", "1 min 5 s", "2 h 2 min", "4 d"]
        );
        assert_eq!([millis(87.4), millis(1_234.0)], ["87 ms", "1.2 s"]);
    }
}
