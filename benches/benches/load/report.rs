//! What came out: a table, a plot, and JSON.

use otelpipe_benches::machine::Circumstances;
use otelpipe_benches::plot::{Bar, bars};
use serde::Serialize;

use crate::target::Size;

/// All that was measured in one run of this bench.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    circumstances: Circumstances,
    nodes: usize,
    samples_of_a_node: usize,
    interval_ms: u128,
    scrapes_of_a_node: usize,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) version: Option<String>,
    /// `None` if the program is not installed.
    pub(crate) cost: Option<Cost>,
}

/// What a program cost between two moments, and what it brought in all.
#[derive(Debug, Serialize)]
pub(crate) struct Cost {
    /// By the clock on the wall.
    pub(crate) seconds: f64,
    /// That were served.
    pub(crate) samples: u64,
    pub(crate) user_seconds: f64,
    pub(crate) system_seconds: f64,
    pub(crate) peak_kib: u64,
    pub(crate) rss_kib: u64,
    pub(crate) anonymous_kib: u64,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) events: u64,
    pub(crate) points_expected: u64,
    pub(crate) points_delivered: u64,
}

#[expect(clippy::cast_precision_loss, reason = "for figures of a few digits")]
impl Cost {
    fn a_million(&self, seconds: f64) -> f64 {
        seconds / (self.samples as f64 / 1e6)
    }

    fn cpu(&self) -> f64 {
        self.a_million(self.user_seconds + self.system_seconds)
    }

    fn peak_mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }

    fn row(&self) -> String {
        let per = |count: u64| count as f64 / self.samples as f64;
        format!(
            "**{:.2}** | {:.2} + {:.2} | **{:.1}** | {:.1} | {:.1} | {:.1} | {:.0} | {} of {}",
            self.cpu(),
            self.a_million(self.user_seconds),
            self.a_million(self.system_seconds),
            self.peak_mib(),
            self.rss_kib as f64 / 1024.0,
            self.anonymous_kib as f64 / 1024.0,
            self.requests as f64 / self.seconds,
            per(self.bytes),
            self.points_delivered,
            self.points_expected,
        )
    }
}

impl Report {
    pub(crate) fn new(size: Size, scrapes: usize) -> Self {
        Self {
            circumstances: Circumstances::now(),
            nodes: size.nodes,
            samples_of_a_node: size.samples,
            interval_ms: size.interval.as_millis(),
            scrapes_of_a_node: scrapes,
            rows: Vec::new(),
        }
    }

    /// All rows are there.
    pub(crate) fn finish(&mut self) {
        self.circumstances.end();
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain fields")
    }

    pub(crate) fn table(&self) -> String {
        let mut table = "\
| program | CPU s per million samples | user + system | peak MiB | resident | anonymous | requests a second | bytes sent a sample | points |
|---|---|---|---|---|---|---|---|---|
"
        .to_owned();
        for row in &self.rows {
            let version = row.version.as_ref().map_or_else(String::new, |version| format!(" ({version})"));
            let cost = row.cost.as_ref().map_or_else(|| "not installed | | | | | | | ".to_owned(), Cost::row);
            table.push_str(&format!("| {}{version} | {cost} |\n", row.name));
        }
        table
    }

    pub(crate) fn markdown(&self) -> String {
        format!(
            "# Load\n\nMeasured {} at `{}`; repeat with `benches/run load`. As JSON: [load.json](load.json).\n\n\
             **Work.** {} nodes of {} samples each, {} ms between scrapes, HTTPS (TLS 1.3) with gzip as a kubelet \
             answers, times of containers of now. {} scrapes of each node are measured, after three to warm up.\n\n\
             {}\n\n\
             **Method.** Processor time is user and system time of the program from `/proc/PID/stat`, all of its \
             threads, per scraped sample; the stand-ins run in another process. Peak is `VmHWM`. Points are metric \
             values in EMF documents, or samples in write requests, from the start of the program: a run that \
             loses one gives no figure. Prometheus may lose its first scrape, because the watcher of its log drops \
             what is older than itself.\n\n{}\n![bars](load.svg)\n",
            self.circumstances.date,
            self.circumstances.commit,
            self.nodes,
            self.samples_of_a_node,
            self.interval_ms,
            self.scrapes_of_a_node,
            self.circumstances.machine_line(),
            self.table(),
        )
    }

    pub(crate) fn plot(&self) -> String {
        let panel = |value: fn(&Cost) -> f64, digits: usize| -> Vec<Bar> {
            let measured = self.rows.iter().filter_map(|row| Some((row, row.cost.as_ref()?)));
            measured
                .map(|(row, cost)| Bar {
                    label: row.name.to_owned(),
                    value: value(cost),
                    text: format!("{:.digits$}", value(cost)),
                })
                .collect()
        };
        bars(
            &format!("{} nodes × {} lines every {} ms", self.nodes, self.samples_of_a_node, self.interval_ms),
            &[
                ("processor seconds per million samples", panel(Cost::cpu, 2)),
                ("peak memory, MiB", panel(Cost::peak_mib, 1)),
            ],
        )
    }
}
