//! Whether a topic's offsets still count as they did.
//!
//! A row's version is its epoch and then its offset, so offsets must never begin anew within an
//! epoch, and a key must not move to a partition that has other offsets. A topic that was made anew
//! begins a new epoch with its first message. A topic that got more partitions begins one where each
//! partition ended when that was seen: keys are spread anew from there on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A partition's last message as it was seen: a topic with another one there is another topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its offset.
    pub offset: i64,
    /// Its time, milliseconds since 1970.
    pub time: i64,
}

/// How offsets count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epochs {
    /// The epoch of a topic's first message.
    pub first: u16,
    /// By partition the offset from which on each further epoch counts; a partition that is not
    /// named began with it.
    pub cuts: Vec<BTreeMap<i32, i64>>,
}

impl Epochs {
    /// The epoch of messages to come, and of rows that are copied now.
    #[must_use]
    pub fn newest(&self) -> u16 {
        self.first.saturating_add(u16::try_from(self.cuts.len()).unwrap_or(u16::MAX))
    }
}

/// A partition as found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its lowest offset.
    pub low: i64,
    /// The offset of its next message.
    pub high: i64,
    /// Time of the message where the mark is; none if there is no message any more.
    pub at_mark: Option<i64>,
}

/// What has become of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one it was.
    Same,
    /// It was made anew: for this reason.
    Anew(&'static str),
    /// It has more partitions than it had.
    Grown,
}

/// Holds the partitions as `found` (by number, from 0) against `marks`, which were noted when there
/// were `partitions` of them. Gives the verdict and the epochs that follow.
#[must_use]
pub fn decide(epochs: &Epochs, partitions: usize, marks: &BTreeMap<i32, Mark>, found: &[Found]) -> (Verdict, Epochs) {
    if let Some(why) = made_anew(partitions, marks, found) {
        let anew = Epochs { first: epochs.newest().saturating_add(1), cuts: Vec::new() };
        return (Verdict::Anew(why), anew);
    }
    if found.len() > partitions {
        let mut grown = epochs.clone();
        let ends = (0..).zip(found.iter().take(partitions)).map(|(number, partition)| (number, partition.high));
        grown.cuts.push(ends.collect());
        return (Verdict::Grown, grown);
    }
    (Verdict::Same, epochs.clone())
}

fn made_anew(partitions: usize, marks: &BTreeMap<i32, Mark>, found: &[Found]) -> Option<&'static str> {
    if found.len() < partitions {
        return Some("it has fewer partitions than before");
    }
    for (number, mark) in marks {
        let Some(partition) = usize::try_from(*number).ok().and_then(|number| found.get(number)) else { continue };
        if partition.high <= mark.offset {
            return Some("it ends before what was read from it");
        }
        if partition.at_mark.is_some_and(|time| time != mark.time) {
            return Some("it has another message where one was noted");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(high: i64, at_mark: Option<i64>) -> Found {
        Found { low: 0, high, at_mark }
    }

    #[test]
    fn a_topic_is_the_same_until_it_is_not() {
        let marks = BTreeMap::from([(0, Mark { offset: 9, time: 77 })]);
        let epochs = Epochs::default();
        let judge = |partitions: &[Found]| decide(&epochs, 1, &marks, partitions);
        assert_eq!(judge(&[found(10, Some(77))]).0, Verdict::Same);
        assert_eq!(judge(&[found(500, None)]).0, Verdict::Same, "the message has expired");
        let (verdict, anew) = judge(&[found(9, None)]);
        assert!(matches!(verdict, Verdict::Anew(_)));
        assert_eq!((anew.first, anew.newest()), (1, 1));
        assert!(matches!(judge(&[found(500, Some(78))]).0, Verdict::Anew(_)));
        assert!(matches!(judge(&[]).0, Verdict::Anew(_)));
    }

    #[test]
    fn more_partitions_count_from_where_the_others_ended() {
        let epochs = Epochs { first: 3, cuts: Vec::new() };
        let (verdict, grown) = decide(&epochs, 1, &BTreeMap::new(), &[found(40, None), found(2, None)]);
        assert_eq!((verdict, grown.newest()), (Verdict::Grown, 4));
        assert_eq!(grown.cuts, [BTreeMap::from([(0, 40)])]);
        let (_, again) = decide(&grown, 2, &BTreeMap::new(), &[found(50, None), found(3, None), found(0, None)]);
        assert_eq!((again.first, again.newest()), (3, 5));
        let (_, anew) = decide(&again, 3, &BTreeMap::new(), &[found(1, None)]);
        assert_eq!((anew.first, anew.cuts.len()), (6, 0));
    }
}
