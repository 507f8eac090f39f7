//! Reads an exposition: borrowed samples, errors with line and column.

use otelpipe_prom::text::{self, Entry, ParseError};

fn main() -> Result<(), ParseError> {
    let body = "\
# HELP http_requests_total Requests answered.
# TYPE http_requests_total counter
http_requests_total{code=\"200\",method=\"get\"} 1027
http_requests_total{code=\"503\",method=\"get\"} 3 1700000000000
";
    for entry in text::parse(body) {
        match entry? {
            Entry::Sample(sample) => {
                let labels: Vec<_> = sample.labels().map(|(name, value)| format!("{name}={value}")).collect();
                println!(
                    "{} [{}] = {} at {:?}",
                    sample.name(),
                    labels.join(", "),
                    sample.value(),
                    sample.timestamp_ms()
                );
            }
            Entry::Help { name, text } => println!("{name}: {text}"),
            _ => {}
        }
    }
    let broken = "up 1\nup{job=\"node} 1\n";
    let error = text::parse(broken).find_map(Result::err).expect("the quote is never closed");
    println!("a broken body: {error}");
    Ok(())
}
