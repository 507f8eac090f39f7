//! What came out: tables, a plot, and JSON.

use otelpipe_benches::machine::Circumstances;
use otelpipe_benches::plot::{Line, lines};
use serde::Serialize;

/// All that was measured in one run of this bench.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    circumstances: Circumstances,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) churn_percent: usize,
    pub(crate) series: usize,
    /// Of a sample in the first scrape.
    pub(crate) first_ns: f64,
    /// Of a sample in a later one.
    pub(crate) known_ns: f64,
    pub(crate) allocations_a_sample: f64,
    /// After the last scrape.
    pub(crate) held_bytes: i64,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { circumstances: Circumstances::now(), rows: Vec::new() }
    }

    /// All rows are there.
    pub(crate) fn finish(&mut self) {
        self.circumstances.end();
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain fields")
    }

    /// Rows of one name, which were measured one after the other.
    fn works(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunk_by(|one, other| one.name == other.name)
    }

    pub(crate) fn table(&self) -> String {
        let mut table = "\
| work | series | first scrape, ns a sample | later scrapes, ns a sample | allocations a sample | held MiB |
|---|---|---|---|---|---|
"
        .to_owned();
        for row in &self.rows {
            table.push_str(&format!(
                "| {} | {} | {:.0} | **{:.0}** | {:.3} | {:.1} |\n",
                row.name,
                row.series,
                row.first_ns,
                row.known_ns,
                row.allocations_a_sample,
                mib(row.held_bytes)
            ));
        }
        table.push_str("\n| work | bytes a series |\n|---|---|\n");
        for rows in self.works() {
            // What grows with churn is shown above; it is no cost of an active series.
            if rows[0].churn_percent == 0
                && let Some(bytes) = bytes_a_series(rows)
            {
                table.push_str(&format!("| {} | {bytes:.0} |\n", rows[0].name));
            }
        }
        table
    }

    pub(crate) fn markdown(&self) -> String {
        format!(
            "# Scale\n\nMeasured {} at `{}`; repeat with `benches/run scale`. As JSON: [scale.json](scale.json).\n\n\
             **Work.** cAdvisor text of nodes with up to 8,000 series, scraped once a minute, from the body to EMF \
             documents (the EKS document) or compressed write requests, in one thread and without sockets. With \
             churn, so many of a hundred pods are others at every scrape.\n\n\
             {}\n\n\
             **Method.** Processor time of the thread; the median of five scrapes of all nodes after two, with \
             churn after ten. Held is what was asked of the allocator and not given back after the last of them; bytes a series is the slope \
             from the second to the last number of series.\n\n{}\n![lines](scale.svg)\n",
            self.circumstances.date,
            self.circumstances.commit,
            self.circumstances.machine_line(),
            self.table(),
        )
    }

    pub(crate) fn plot(&self) -> String {
        let all: Vec<Line> = self
            .works()
            .filter(|rows| !rows[0].name.contains("only"))
            .map(|rows| Line {
                label: rows[0].name.to_owned(),
                points: rows.iter().map(|row| (float(row.series), row.known_ns)).collect(),
            })
            .collect();
        lines("Cost of a sample by the number of active series", "active series", "ns a sample", &all)
    }
}

/// The slope of memory from the second row to the last.
#[expect(clippy::cast_precision_loss, reason = "for a figure of a few digits")]
fn bytes_a_series(rows: &[Row]) -> Option<f64> {
    let [_, from, .., to] = rows else { return None };
    Some((to.held_bytes - from.held_bytes) as f64 / (to.series - from.series) as f64)
}

#[expect(clippy::cast_precision_loss, reason = "for a figure of a few digits")]
fn mib(bytes: i64) -> f64 {
    bytes as f64 / 1048576.0
}

#[expect(clippy::cast_precision_loss, reason = "a number of series")]
fn float(count: usize) -> f64 {
    count as f64
}
