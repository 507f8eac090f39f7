//! Batches of log events, one per log stream, within the limits of `PutLogEvents`.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use otelpipe_core::shared_str::SharedStr;

use crate::json::{unescape, write_plain_escaped};
use crate::log_event::{EscapedEventRef, LogEventRef};

/// Bytes that CloudWatch Logs counts for each event on top of its message.
pub const EVENT_OVERHEAD_BYTES: usize = 26;

const HOUR_MS: i64 = 3_600_000;

/// What upstream ends a message with that it cut.
const CUT_SUFFIX: &str = "[Truncated...]";

/// Limits of one `PutLogEvents` request and of the events in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogLimits {
    /// Messages of a batch in UTF-8 with [`EVENT_OVERHEAD_BYTES`] each. Default 1 MiB,
    /// which is what the service takes; upstream 256 KiB.
    pub max_batch_bytes: usize,
    /// Events of a batch. Default 10,000.
    pub max_batch_events: usize,
    /// Time between the first and the last event of a batch. Default 24 hours.
    pub max_span_ms: i64,
    /// One event with its overhead. Default 1 MiB, which is what the service takes;
    /// upstream 256 KiB.
    pub max_event_bytes: usize,
    /// Whether a longer message is cut and marked; default false: it is refused, since
    /// a document without its end is worth nothing. Upstream cuts.
    pub cut_long_messages: bool,
    /// Age of the oldest event that the service takes. Default 14 days.
    pub max_age_ms: i64,
    /// How far ahead of the clock an event may be. Default 2 hours.
    pub max_ahead_ms: i64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            max_batch_bytes: 1 << 20,
            max_batch_events: 10_000,
            max_span_ms: 24 * HOUR_MS,
            max_event_bytes: 1 << 20,
            cut_long_messages: false,
            max_age_ms: 14 * 24 * HOUR_MS,
            max_ahead_ms: 2 * HOUR_MS,
        }
    }
}

impl LogLimits {
    /// The limits of the ADOT Collector v0.49.
    ///
    /// Source: `internal/aws/cwlogs/pusher.go` in contrib.
    pub fn upstream() -> Self {
        Self {
            max_batch_bytes: 256 << 10,
            max_event_bytes: 256 << 10,
            cut_long_messages: true,
            ..Self::default()
        }
    }
}

/// Why an event is in no batch. Its neighbours are not concerned.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EventRefusal {
    /// There is nothing to send.
    #[error("empty log event message")]
    Empty,
    /// Older than the service takes.
    #[error("log event too old")]
    TooOld,
    /// Further ahead of the clock than the service takes.
    #[error("log event too far in the future")]
    TooNew,
    /// Longer than the service takes.
    #[error("log event too large")]
    TooLarge,
}

impl EventRefusal {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Empty, Self::TooOld, Self::TooNew, Self::TooLarge];
}

/// Events of one log stream, ready to be sent.
#[derive(Clone, Eq, PartialEq)]
pub struct LogBatch {
    group: SharedStr,
    stream: SharedStr,
    /// All messages, escaped, one after the other.
    text: String,
    events: Vec<Event>,
    /// Bytes of all messages before they were escaped.
    message_bytes: usize,
    min_ms: i64,
    max_ms: i64,
}

#[derive(Clone, Copy, Eq, PartialEq)]
struct Event {
    at_ms: i64,
    /// Start and end in the text.
    start: usize,
    end: usize,
    message_bytes: usize,
}

impl LogBatch {
    fn new(group: SharedStr, stream: SharedStr) -> Self {
        Self {
            group,
            stream,
            text: String::new(),
            events: Vec::new(),
            message_bytes: 0,
            min_ms: i64::MAX,
            max_ms: i64::MIN,
        }
    }

    /// Log group.
    pub fn group(&self) -> &SharedStr {
        &self.group
    }

    /// Log stream of the group.
    pub fn stream(&self) -> &SharedStr {
        &self.stream
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is no event. Batches that are handed out have one.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Size as the service counts it: messages in UTF-8 and the overhead of each event.
    pub fn size_bytes(&self) -> usize {
        self.message_bytes + self.events.len() * EVENT_OVERHEAD_BYTES
    }

    /// Time in milliseconds since the Unix epoch and message of each event, by time;
    /// those of one time in order of arrival. A message with quotes or backslashes is a copy.
    pub fn events(&self) -> impl ExactSizeIterator<Item = (i64, Cow<'_, str>)> {
        self.escaped_events().map(|(at_ms, message)| (at_ms, unescape(message)))
    }

    /// The same with the messages as they stand between the quotes of a JSON string.
    pub fn escaped_events(&self) -> impl ExactSizeIterator<Item = (i64, &str)> {
        self.events.iter().map(|event| (event.at_ms, self.escaped(event)))
    }

    /// The batch in two: the first `count` events and the others.
    pub fn split(self, count: usize) -> (Self, Self) {
        let mut halves = (
            Self::new(self.group.clone(), self.stream.clone()),
            Self::new(self.group.clone(), self.stream.clone()),
        );
        for (at, event) in self.events.iter().enumerate() {
            let half = if at < count { &mut halves.0 } else { &mut halves.1 };
            half.text.push_str(self.escaped(event));
            half.close_event(event.at_ms, event.message_bytes);
        }
        halves
    }

    /// About as many bytes as the request has.
    pub(crate) fn body_bytes(&self) -> usize {
        const AROUND: usize = r#"{"message":"","timestamp":1700000000000},"#.len();
        self.text.len() + self.events.len() * AROUND + self.group.len() + self.stream.len() + 64
    }

    fn escaped(&self, event: &Event) -> &str {
        self.text.get(event.start..event.end).unwrap_or_default()
    }

    fn takes(&self, bytes: usize, at_ms: i64, limits: &LogLimits) -> bool {
        self.events.len() < limits.max_batch_events
            && self.size_bytes() + bytes <= limits.max_batch_bytes
            && at_ms.saturating_sub(self.min_ms) <= limits.max_span_ms
            && self.max_ms.saturating_sub(at_ms) <= limits.max_span_ms
    }

    /// Makes an event of what was appended to the text since the last one.
    fn close_event(&mut self, at_ms: i64, message_bytes: usize) {
        let start = self.events.last().map_or(0, |event| event.end);
        self.events.push(Event { at_ms, start, end: self.text.len(), message_bytes });
        self.message_bytes += message_bytes;
        self.min_ms = self.min_ms.min(at_ms);
        self.max_ms = self.max_ms.max(at_ms);
    }

    fn sorted(mut self) -> Self {
        self.events.sort_by_key(|event| event.at_ms);
        self
    }
}

impl fmt::Debug for LogBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogBatch")
            .field("group", &self.group)
            .field("stream", &self.stream)
            .field("len", &self.len())
            .field("size_bytes", &self.size_bytes())
            .finish_non_exhaustive()
    }
}

/// Collects events into one batch per log stream.
///
/// ```
/// use otelpipe_core::shared_str::SharedStr;
/// use otelpipe_emf::log_batch::{EventRefusal, LogBatcher, LogLimits};
/// use otelpipe_emf::log_event::LogEventRef;
///
/// let (group, stream) = (SharedStr::from("g"), SharedStr::from("s"));
/// let now_ms = 1_700_000_000_000;
/// let event = |timestamp_ms, message| LogEventRef { group: &group, stream: &stream, timestamp_ms, message };
/// let mut batcher = LogBatcher::new(LogLimits::default());
/// assert_eq!(batcher.push(event(now_ms, "{}"), now_ms), Ok(None));
/// assert_eq!(batcher.push(event(5, "{}"), now_ms), Err(EventRefusal::TooOld));
/// assert_eq!(batcher.push(event(now_ms - 9, "{\"a\":1}"), now_ms), Ok(None));
/// let batches = batcher.flush();
/// let messages: Vec<_> = batches[0].events().map(|(_, message)| message).collect();
/// assert_eq!(messages, ["{\"a\":1}", "{}"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct LogBatcher {
    limits: LogLimits,
    /// In order of creation.
    open: Vec<LogBatch>,
    /// Positions in `open`.
    by_stream: HashTable<usize>,
    hasher: DefaultHashBuilder,
    refused: [u64; EventRefusal::ALL.len()],
}

impl LogBatcher {
    /// A batcher without events.
    pub fn new(limits: LogLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Copies an event into the batch of its stream. A batch that has no room for it
    /// is closed and handed out first.
    ///
    /// `now_ms` is the present, milliseconds since the Unix epoch; it is the time of an
    /// event that has none.
    ///
    /// # Errors
    /// The event cannot be sent, whatever batch it were in. It is counted, see
    /// [`Self::refused`].
    pub fn push(&mut self, event: LogEventRef<'_>, now_ms: i64) -> Result<Option<LogBatch>, EventRefusal> {
        let (at_ms, parts) = self.limits.check(event, now_ms).inspect_err(|refusal| {
            self.refused[*refusal as usize] += 1;
        })?;
        let message_bytes = parts[0].len() + parts[1].len();
        let (batch, closed) = self.batch((event.group, event.stream), at_ms, message_bytes);
        for part in parts {
            write_plain_escaped(part, &mut batch.text);
        }
        batch.close_event(at_ms, message_bytes);
        Ok(closed)
    }

    /// As [`Self::push`], of an event whose message is escaped already.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_escaped(
        &mut self,
        event: EscapedEventRef<'_>,
        now_ms: i64,
    ) -> Result<Option<LogBatch>, EventRefusal> {
        let EscapedEventRef { group, stream, timestamp_ms, escaped, message_bytes } = event;
        if message_bytes + EVENT_OVERHEAD_BYTES > self.limits.max_event_bytes {
            // Refused or cut, which wants the message as it is.
            let message = &event.message();
            return self.push(LogEventRef { group, stream, timestamp_ms, message }, now_ms);
        }
        let at_ms = self.limits.time(timestamp_ms, message_bytes, now_ms).inspect_err(|refusal| {
            self.refused[*refusal as usize] += 1;
        })?;
        let (batch, closed) = self.batch((group, stream), at_ms, message_bytes);
        batch.text.push_str(escaped);
        batch.close_event(at_ms, message_bytes);
        Ok(closed)
    }

    /// The open batch of a stream with room for such an event, and the one that had none.
    fn batch(
        &mut self,
        (group, stream): (&SharedStr, &SharedStr),
        at_ms: i64,
        message_bytes: usize,
    ) -> (&mut LogBatch, Option<LogBatch>) {
        let Self { limits, open, by_stream, hasher, .. } = self;
        let hash = hasher.hash_one((group, stream));
        let known = by_stream.find(hash, |at| open[*at].group == *group && open[*at].stream == *stream);
        let at = known.copied().unwrap_or_else(|| {
            open.push(LogBatch::new(group.clone(), stream.clone()));
            let at = open.len() - 1;
            by_stream.insert_unique(hash, at, |at| hasher.hash_one((&open[*at].group, &open[*at].stream)));
            at
        });
        let batch = &mut open[at];
        let mut closed = None;
        if !batch.is_empty() && !batch.takes(message_bytes + EVENT_OVERHEAD_BYTES, at_ms, limits) {
            let next = LogBatch::new(batch.group.clone(), batch.stream.clone());
            closed = Some(core::mem::replace(batch, next).sorted());
        }
        (batch, closed)
    }

    /// Closes all batches and hands them out in order of creation.
    pub fn flush(&mut self) -> Vec<LogBatch> {
        self.by_stream.clear();
        self.open.drain(..).map(LogBatch::sorted).collect()
    }

    /// Events in the open batches.
    pub fn len(&self) -> usize {
        self.open.iter().map(LogBatch::len).sum()
    }

    /// Whether there is no event to flush.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Bytes of the open batches, as the service counts them.
    pub fn size_bytes(&self) -> usize {
        self.open.iter().map(LogBatch::size_bytes).sum()
    }

    /// How many events were refused for `refusal` so far.
    pub fn refused(&self, refusal: EventRefusal) -> u64 {
        self.refused[refusal as usize]
    }
}

impl LogLimits {
    /// Time and message, cut where that is wanted, of an event that can be sent.
    ///
    /// Source: `Event.Validate` in `internal/aws/cwlogs/pusher.go`.
    fn check<'m>(&self, event: LogEventRef<'m>, now_ms: i64) -> Result<(i64, [&'m str; 2]), EventRefusal> {
        let mut parts = [event.message, ""];
        if event.message.len() + EVENT_OVERHEAD_BYTES > self.max_event_bytes {
            if !self.cut_long_messages {
                return Err(EventRefusal::TooLarge);
            }
            let kept = self.max_event_bytes.saturating_sub(EVENT_OVERHEAD_BYTES + CUT_SUFFIX.len());
            // Upstream cuts inside a character and sends a replacement character.
            let boundary = (0..=kept).rev().find(|at| event.message.is_char_boundary(*at)).unwrap_or(0);
            parts = [event.message.get(..boundary).unwrap_or_default(), CUT_SUFFIX];
        }
        Ok((self.time(event.timestamp_ms, event.message.len(), now_ms)?, parts))
    }

    /// Time of an event, if it can be sent by that.
    fn time(&self, timestamp_ms: i64, message_bytes: usize, now_ms: i64) -> Result<i64, EventRefusal> {
        let at_ms = if timestamp_ms == 0 { now_ms } else { timestamp_ms };
        if message_bytes == 0 {
            return Err(EventRefusal::Empty);
        }
        let age_ms = now_ms.saturating_sub(at_ms);
        if age_ms > self.max_age_ms {
            return Err(EventRefusal::TooOld);
        }
        if age_ms < -self.max_ahead_ms {
            return Err(EventRefusal::TooNew);
        }
        Ok(at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    const NOW: i64 = 1_795_255_030_000;
    const MAX: usize = 262_144;
    const DAY_MS: i64 = 24 * HOUR_MS;

    struct Pusher {
        batcher: LogBatcher,
        sent: Vec<LogBatch>,
    }

    impl Pusher {
        fn new(limits: LogLimits) -> Self {
            Self { batcher: LogBatcher::new(limits), sent: Vec::new() }
        }

        fn add(&mut self, stream: &str, len: usize, timestamp_ms: i64) -> Result<(), EventRefusal> {
            let (group, stream, message) = (SharedStr::from("g"), SharedStr::from(stream), "x".repeat(len));
            let event = LogEventRef { group: &group, stream: &stream, timestamp_ms, message: &message };
            self.sent.extend(self.batcher.push(event, NOW)?);
            Ok(())
        }

        fn flush(mut self) -> Vec<LogBatch> {
            self.sent.extend(self.batcher.flush());
            self.sent
        }
    }

    /// Events of each batch, given lengths and times of what is added.
    fn sizes(limits: LogLimits, events: &[(usize, i64)]) -> Vec<usize> {
        let mut pusher = Pusher::new(limits);
        for (len, at_ms) in events {
            pusher.add("s", *len, *at_ms).unwrap();
        }
        pusher.flush().iter().map(LogBatch::len).collect()
    }

    #[test]
    fn one_event_makes_one_batch_and_none_makes_none() {
        let mut pusher = Pusher::new(LogLimits::default());
        pusher.add("s", 100, NOW).unwrap();
        let sent = pusher.flush();
        assert_eq!((sent.len(), sent[0].len(), sent[0].size_bytes()), (1, 1, 126));
        assert_eq!(Pusher::new(LogLimits::default()).flush(), []);
    }

    #[test]
    fn upstream_cuts_messages_above_its_limit() {
        for (len, kept, size) in [(MAX - 26, MAX - 26, MAX), (MAX - 25, 262_118, MAX)] {
            let mut pusher = Pusher::new(LogLimits::upstream());
            pusher.add("s", len, NOW).unwrap();
            let sent = pusher.flush();
            let (_, message) = sent[0].events().next().unwrap();
            assert_eq!((message.len(), sent[0].size_bytes()), (kept, size));
            assert_eq!(message.ends_with("xx[Truncated...]"), len > MAX - 26);
        }
    }

    #[test]
    fn a_cut_keeps_characters_whole() {
        let (group, message) = (SharedStr::from("g"), "é".repeat(MAX / 2));
        let event = LogEventRef { group: &group, stream: &group, timestamp_ms: NOW, message: &message };
        let mut batcher =
            LogBatcher::new(LogLimits { max_event_bytes: 26 + 14 + 3, ..LogLimits::upstream() });
        batcher.push(event, NOW).unwrap();
        assert_eq!(batcher.flush()[0].events().next().unwrap().1, "é[Truncated...]");
    }

    #[test]
    fn events_that_cannot_be_sent_are_refused_and_counted() {
        let mut pusher = Pusher::new(LogLimits::default());
        for (len, at_ms, outcome) in [
            (0, NOW, Err(EventRefusal::Empty)),
            (5, NOW - 14 * DAY_MS - 1000, Err(EventRefusal::TooOld)),
            (5, NOW - 14 * DAY_MS, Ok(())),
            (5, NOW + 2 * HOUR_MS + 1000, Err(EventRefusal::TooNew)),
            (5, NOW + 2 * HOUR_MS, Ok(())),
            ((1 << 20) - 26, NOW, Ok(())),
            ((1 << 20) - 25, NOW, Err(EventRefusal::TooLarge)),
        ] {
            assert_eq!(pusher.add("s", len, at_ms), outcome, "{len} {at_ms}");
        }
        for refusal in EventRefusal::ALL {
            assert_eq!(pusher.batcher.refused(refusal), 1, "{refusal}");
        }
        let ages =
            |batch: &LogBatch| batch.events().map(|(at_ms, _)| (NOW - at_ms) / HOUR_MS).collect::<Vec<_>>();
        assert_eq!(pusher.flush().iter().map(ages).collect::<Vec<_>>(), [vec![14 * 24], vec![-2], vec![0]]);
    }

    #[test]
    fn an_event_without_time_gets_the_present() {
        let mut pusher = Pusher::new(LogLimits::default());
        pusher.add("s", 5, 0).unwrap();
        assert_eq!(pusher.flush()[0].events().next().unwrap().0, NOW);
    }

    #[test]
    fn batches_close_at_the_limits() {
        let upstream = LogLimits::upstream;
        let small = vec![(1, NOW); 10_001];
        assert_eq!(sizes(upstream(), &small), [9709, 292]);
        assert_eq!(sizes(LogLimits::default(), &small), [10_000, 1]);
        assert_eq!(sizes(upstream(), &[(131_046, NOW), (131_046, NOW)]), [2]);
        assert_eq!(sizes(upstream(), &[(131_046, NOW), (131_047, NOW)]), [1, 1]);
        assert_eq!(sizes(LogLimits::default(), &[(524_262, NOW), (524_262, NOW)]), [2]);
        assert_eq!(sizes(LogLimits::default(), &[(524_262, NOW), (524_263, NOW)]), [1, 1]);
        assert_eq!(sizes(upstream(), &[(1, NOW), (1, NOW - DAY_MS)]), [2]);
        assert_eq!(sizes(upstream(), &[(1, NOW), (1, NOW - DAY_MS - 1)]), [1, 1]);
        assert_eq!(sizes(upstream(), &[(1, NOW - DAY_MS - 1), (1, NOW)]), [1, 1]);
    }

    #[test]
    fn events_of_a_batch_are_in_order_of_time() {
        let mut pusher = Pusher::new(LogLimits::default());
        for (len, at_ms) in [(1, NOW), (2, NOW - 5), (3, NOW)] {
            pusher.add("s", len, at_ms).unwrap();
        }
        let lens: Vec<usize> = pusher.flush()[0].events().map(|(_, message)| message.len()).collect();
        assert_eq!(lens, [2, 1, 3]);
    }

    #[test]
    fn an_escaped_event_fares_as_the_plain_one() {
        let name = SharedStr::from("g");
        let now_ms = NOW;
        for limits in [LogLimits::default(), LogLimits { max_event_bytes: 26 + 20, ..LogLimits::upstream() }]
        {
            for (message, timestamp_ms) in [
                (r#"{"a":"\\ é\u003c","b":1}"#, NOW),
                ("plain", 0),
                ("", NOW),
                ("too old", 1),
                ("control \u{1}\n\t and \u{2028} and a quote \"", NOW),
            ] {
                let (mut plain, mut escaped) =
                    (LogBatcher::new(limits.clone()), LogBatcher::new(limits.clone()));
                let event = LogEventRef { group: &name, stream: &name, timestamp_ms, message };
                let mut text = String::new();
                write_plain_escaped(message, &mut text);
                let outcome = escaped.push_escaped(
                    EscapedEventRef {
                        group: &name,
                        stream: &name,
                        timestamp_ms,
                        escaped: &text,
                        message_bytes: message.len(),
                    },
                    now_ms,
                );
                assert_eq!(outcome, plain.push(event, now_ms));
                assert!(EventRefusal::ALL.iter().all(|it| escaped.refused(*it) == plain.refused(*it)));
                let batches = plain.flush();
                assert_eq!(escaped.flush(), batches);
                let is_cut = message.len() > limits.max_event_bytes - EVENT_OVERHEAD_BYTES;
                for (_, kept) in batches.iter().flat_map(LogBatch::events).filter(|_| !is_cut) {
                    assert_eq!(kept, message);
                }
            }
        }
    }

    #[test]
    fn a_batch_in_two_has_all_events() {
        let mut pusher = Pusher::new(LogLimits::default());
        for (len, at_ms) in [(1, NOW), (2, NOW - 5), (3, NOW + 7)] {
            pusher.add("s", len, at_ms).unwrap();
        }
        let whole = pusher.flush().remove(0);
        for count in 0..5 {
            let (first, second) = whole.clone().split(count);
            assert_eq!(first.len(), count.min(3));
            assert_eq!(first.size_bytes() + second.size_bytes(), whole.size_bytes());
            assert_eq!(
                first.events().chain(second.events()).collect::<Vec<_>>(),
                whole.events().collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn each_stream_has_its_own_batch() {
        let mut pusher = Pusher::new(LogLimits::default());
        for stream in ["b", "a", "b"] {
            pusher.add(stream, 1, NOW).unwrap();
        }
        let sent = pusher.flush();
        let streams: Vec<(&str, usize)> =
            sent.iter().map(|batch| (batch.stream().as_str(), batch.len())).collect();
        assert_eq!(streams, [("b", 2), ("a", 1)]);
    }

    proptest! {
        #[test]
        fn no_event_is_lost_and_no_limit_broken(
            events in proptest::collection::vec((0usize..60, -40i64..40, 0u8..3), 0..60),
        ) {
            let limits = LogLimits {
                max_batch_bytes: 200, max_batch_events: 4, max_span_ms: 20, max_event_bytes: 76,
                max_age_ms: 30, max_ahead_ms: 30, ..LogLimits::default()
            };
            let mut pusher = Pusher::new(limits.clone());
            let mut refused = 0;
            for (len, offset, stream) in &events {
                let stream = ["a", "b", "c"][usize::from(*stream)];
                refused += usize::from(pusher.add(stream, *len, NOW + offset).is_err());
            }
            let counted: u64 = EventRefusal::ALL.iter().map(|it| pusher.batcher.refused(*it)).sum();
            prop_assert_eq!(counted, refused as u64);
            let sent = pusher.flush();
            prop_assert_eq!(sent.iter().map(LogBatch::len).sum::<usize>() + refused, events.len());
            for batch in sent {
                let times: Vec<i64> = batch.events().map(|(at_ms, _)| at_ms).collect();
                prop_assert!(times.is_sorted() && times.last().unwrap() - times[0] <= 20);
                prop_assert!(batch.len() <= 4 && batch.size_bytes() <= 200);
            }
        }
    }
}
