//! Consumer groups: how far each is behind, and how that was before.
//!
//! A cluster keeps offsets per group and partition, and telling which topics a group reads means
//! asking for all of them. So the whole question is asked when somebody looks at a group; from then
//! on the topics it reads are known, and a task asks for these alone now and then.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval, timeout};
use utoipa::ToSchema;

use crate::live::now_ms;
use crate::ports::{Committed, Group, GroupMember, Result, TopicMeta, Topics, Watermarks};

/// Often enough for a chart of an hour.
const EVERY: Duration = Duration::from_secs(15);
/// An hour.
const POINTS: usize = 240;
/// Groups that are followed; the one nobody looked at for longest makes room.
const MOST_GROUPS: usize = 200;
/// For one group; a cluster that does not answer must not stop the others.
const PATIENCE: Duration = Duration::from_secs(30);

/// How far a group was behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LagPoint {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// Messages not yet read, in all partitions.
    pub lag: i64,
    /// Sum of the offsets it has read up to: the difference of two is what it read between.
    pub committed: i64,
}

/// Where a group stands in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct GroupPartition {
    /// The partition.
    pub partition: i32,
    /// Offset of the first message that is kept.
    pub first: i64,
    /// Offset that the next message gets.
    pub end: i64,
    /// The next offset that the group reads.
    pub committed: i64,
    /// Messages not yet read.
    pub lag: i64,
}

/// Where a group stands in one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct GroupTopic {
    /// The topic.
    pub topic: String,
    /// Messages not yet read.
    pub lag: i64,
    /// Its partitions, those that the group committed to.
    pub partitions: Vec<GroupPartition>,
}

/// A group in full.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GroupDetail {
    /// Its id.
    pub id: String,
    /// In the broker's words.
    pub state: String,
    /// Its assignment strategy.
    pub protocol: String,
    /// Who is in it.
    pub members: Vec<GroupMember>,
    /// Messages not yet read, in all topics.
    pub lag: i64,
    /// In name order.
    pub topics: Vec<GroupTopic>,
    /// Messages that it read per second, over the last minute or so; null before that is known.
    pub rate: Option<f64>,
    /// The last hour, oldest first, since somebody looked first.
    pub history: Vec<LagPoint>,
}

/// What is remembered of groups.
#[derive(Debug, Default)]
pub(crate) struct Book(Mutex<BTreeMap<String, Followed>>);

#[derive(Debug)]
struct Followed {
    /// That it reads.
    topics: Vec<String>,
    points: VecDeque<LagPoint>,
    looked_ms: i64,
}

impl Book {
    /// Notes how a group stands; `looked` when somebody looks.
    fn note(&self, id: &str, topics: &[GroupTopic], looked: bool) -> Vec<LagPoint> {
        let now = now_ms();
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !book.contains_key(id) && book.len() >= MOST_GROUPS {
            let oldest = book.iter().min_by_key(|(_, followed)| followed.looked_ms).map(|(id, _)| id.clone());
            oldest.and_then(|id| book.remove(&id));
        }
        let new = || Followed { topics: Vec::new(), points: VecDeque::new(), looked_ms: now };
        let followed = book.entry(id.to_owned()).or_insert_with(new);
        followed.topics = topics.iter().map(|topic| topic.topic.clone()).collect();
        if looked {
            followed.looked_ms = now;
        }
        let partitions = || topics.iter().flat_map(|topic| &topic.partitions);
        let point = LagPoint {
            at_ms: now,
            lag: partitions().map(|one| one.lag).sum(),
            committed: partitions().map(|one| one.committed).sum(),
        };
        // Two looks within a moment are one point.
        if followed.points.back().is_none_or(|last| now - last.at_ms >= 1000) {
            followed.points.push_back(point);
        }
        if followed.points.len() > POINTS {
            followed.points.pop_front();
        }
        followed.points.iter().copied().collect()
    }

    fn followed(&self) -> Vec<(String, Vec<String>)> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.iter().map(|(id, followed)| (id.clone(), followed.topics.clone())).collect()
    }

    /// The newest known lag of a group.
    pub(crate) fn lag(&self, id: &str) -> Option<LagPoint> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id)?.points.back().copied()
    }

    /// A group in full, asked for now.
    pub(crate) async fn detail(&self, topics: &dyn Topics, group: Group) -> Result<GroupDetail> {
        let stands = standing(topics, &group.id, &topics.cluster().await?.topics).await?;
        let history = self.note(&group.id, &stands, true);
        Ok(GroupDetail {
            id: group.id,
            state: group.state,
            protocol: group.protocol,
            members: group.members,
            lag: stands.iter().map(|topic| topic.lag).sum(),
            topics: stands,
            rate: rate(&history),
            history,
        })
    }

    /// Asks for the groups that somebody looked at, for ever.
    pub(crate) async fn follow(&self, topics: &dyn Topics) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let followed = self.followed();
            if followed.is_empty() {
                continue;
            }
            let Ok(Ok(cluster)) = timeout(PATIENCE, topics.cluster()).await else { continue };
            for (id, names) in followed {
                let known = cluster.topics.iter().filter(|topic| names.contains(&topic.name)).cloned();
                let known: Vec<TopicMeta> = known.collect();
                if let Ok(Ok(stands)) = timeout(PATIENCE, standing(topics, &id, &known)).await {
                    self.note(&id, &stands, false);
                }
            }
        }
    }
}

/// Messages read per second between the first and the last point of the last minute.
fn rate(history: &[LagPoint]) -> Option<f64> {
    let last = history.last()?;
    let first = history.iter().find(|point| last.at_ms - point.at_ms <= 90_000)?;
    let seconds = (last.at_ms - first.at_ms) as f64 / 1000.0;
    (seconds >= 5.0).then(|| ((last.committed - first.committed).max(0)) as f64 / seconds)
}

/// Where a group stands in each topic among `known` that it has committed to.
pub(crate) async fn standing(topics: &dyn Topics, group: &str, known: &[TopicMeta]) -> Result<Vec<GroupTopic>> {
    let mut by_topic: BTreeMap<String, Vec<Committed>> = BTreeMap::new();
    for committed in topics.committed(group, known).await? {
        by_topic.entry(committed.topic.clone()).or_default().push(committed);
    }
    let mut stands = Vec::new();
    for (topic, committed) in by_topic {
        let watermarks = topics.watermarks(&topic).await?;
        let mut partitions: Vec<GroupPartition> =
            committed.iter().filter_map(|committed| partition(committed, &watermarks)).collect();
        partitions.sort_by_key(|one| one.partition);
        stands.push(GroupTopic { topic, lag: partitions.iter().map(|one| one.lag).sum(), partitions });
    }
    Ok(stands)
}

fn partition(committed: &Committed, watermarks: &[Watermarks]) -> Option<GroupPartition> {
    let among = watermarks.iter().find(|one| one.partition == committed.partition)?;
    Some(GroupPartition {
        partition: committed.partition,
        first: among.first,
        end: among.end,
        committed: committed.offset,
        // What was deleted before it was read is not waiting any more.
        lag: (among.end - committed.offset.max(among.first)).max(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_does_not_wait() {
        let among = [Watermarks { partition: 0, first: 100, end: 110 }];
        let lag = |offset| {
            let committed = Committed { topic: "t".to_owned(), partition: 0, offset };
            partition(&committed, &among).unwrap().lag
        };
        assert_eq!((lag(105), lag(5), lag(110), lag(200)), (5, 10, 0, 0));
    }

    #[test]
    fn the_rate_is_what_was_read() {
        let point = |second: i64, committed| LagPoint { at_ms: second * 1000, lag: 0, committed };
        assert_eq!(rate(&[point(0, 0)]), None);
        assert_eq!(rate(&[point(0, 0), point(200, 500), point(260, 1100)]), Some(10.0));
        assert_eq!(rate(&[point(0, 900), point(60, 10)]), Some(0.0), "offsets that were set back");
    }

    #[test]
    fn groups_that_nobody_looks_at_make_room() {
        let book = Book::default();
        for number in 0..MOST_GROUPS + 3 {
            book.note(&format!("g{number:04}"), &[], true);
        }
        assert_eq!(book.followed().len(), MOST_GROUPS);
        assert!(book.lag(&format!("g{:04}", MOST_GROUPS + 2)).is_some());
    }
}
