//! Batches as text for people: one line a point, or every field.
//!
//! Source: core `exporter/debugexporter/internal/{normal,otlptext}`.

use std::fmt::{self, Write};

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::metric::{Metric, MetricData, MetricKind, Temporality};
use otelpipe_core::number;
use otelpipe_core::point::{
    Exemplar, ExponentialHistogramPoint, HistogramPoint, NumberPoint, NumberValue, SummaryPoint,
};
use otelpipe_core::time::TimeNs;
use otelpipe_core::value::AttributeValue;

/// One line a resource, scope and point.
pub(super) fn write_normal(batch: &MetricBatch, out: &mut String) -> fmt::Result {
    for (at, resource) in batch.resources.iter().enumerate() {
        write!(out, "ResourceMetrics #{at}")?;
        if !resource.resource.schema_url.is_empty() {
            write!(out, " [{}]", resource.resource.schema_url)?;
        }
        write_words(&resource.resource.attributes, out)?;
        out.push('\n');
        for (at, scope) in resource.scopes.iter().enumerate() {
            write!(out, "ScopeMetrics #{at}")?;
            if !scope.scope.name.is_empty() {
                write!(out, " {}", scope.scope.name)?;
                if !scope.scope.version.is_empty() {
                    write!(out, "@{}", scope.scope.version)?;
                }
            }
            if !scope.scope.schema_url.is_empty() {
                write!(out, " [{}]", scope.scope.schema_url)?;
            }
            write_words(&scope.scope.attributes, out)?;
            out.push('\n');
            for metric in &scope.metrics {
                write_points(metric, out)?;
            }
        }
    }
    Ok(())
}

/// Every field of everything.
pub(super) fn write_detailed(batch: &MetricBatch, out: &mut String) -> fmt::Result {
    for (at, resource) in batch.resources.iter().enumerate() {
        writeln!(out, "ResourceMetrics #{at}")?;
        writeln!(out, "Resource SchemaURL: {}", resource.resource.schema_url)?;
        write_attributes("Resource attributes", &resource.resource.attributes, out)?;
        for (at, scope) in resource.scopes.iter().enumerate() {
            writeln!(out, "ScopeMetrics #{at}")?;
            writeln!(out, "ScopeMetrics SchemaURL: {}", scope.scope.schema_url)?;
            writeln!(out, "InstrumentationScope {} {}", scope.scope.name, scope.scope.version)?;
            write_attributes("InstrumentationScope attributes", &scope.scope.attributes, out)?;
            for (at, metric) in scope.metrics.iter().enumerate() {
                writeln!(out, "Metric #{at}")?;
                write_metric(metric, out)?;
            }
        }
    }
    Ok(())
}

fn write_points(metric: &Metric, out: &mut String) -> fmt::Result {
    let name = &metric.name;
    let begin = |attributes: &Attributes, out: &mut String| {
        write!(out, "{name}{{")?;
        for (at, (key, value)) in attributes.iter().enumerate() {
            write!(out, "{}{key}={}", if at == 0 { "" } else { "," }, text(value))?;
        }
        out.write_str("} ")
    };
    match &metric.data {
        MetricData::Empty => {}
        MetricData::Gauge(points) | MetricData::Sum(otelpipe_core::metric::Sum { points, .. }) => {
            for point in points {
                begin(&point.attributes, out)?;
                match point.value {
                    NumberValue::Empty => {}
                    NumberValue::Int(value) => write!(out, "{value}")?,
                    NumberValue::Double(value) => number::write_g(value, out),
                }
                out.push('\n');
            }
        }
        MetricData::Histogram(histogram) => {
            for point in &histogram.points {
                begin(&point.attributes, out)?;
                write_totals(point.count, [("sum", point.sum), ("min", point.min), ("max", point.max)], out)?;
                for (at, count) in point.bucket_counts.iter().enumerate() {
                    out.push(' ');
                    if let Some(bound) = point.explicit_bounds.get(at) {
                        out.push_str("le");
                        number::write_g(*bound, out);
                        out.push('=');
                    }
                    write!(out, "{count}")?;
                }
                out.push('\n');
            }
        }
        MetricData::ExponentialHistogram(histogram) => {
            for point in &histogram.points {
                begin(&point.attributes, out)?;
                write_totals(point.count, [("sum", point.sum), ("min", point.min), ("max", point.max)], out)?;
                out.push('\n');
            }
        }
        MetricData::Summary(points) => {
            for point in points {
                begin(&point.attributes, out)?;
                write_totals(point.count, [("sum", Some(point.sum))], out)?;
                for quantile in &point.quantiles {
                    out.push_str(" q");
                    number::write_g(quantile.quantile, out);
                    out.push('=');
                    number::write_g(quantile.value, out);
                }
                out.push('\n');
            }
        }
    }
    Ok(())
}

fn write_totals<const N: usize>(
    count: u64,
    values: [(&str, Option<f64>); N],
    out: &mut String,
) -> fmt::Result {
    write!(out, "count={count}")?;
    for (name, value) in values {
        if let Some(value) = value {
            write!(out, " {name}=")?;
            number::write_g(value, out);
        }
    }
    Ok(())
}

fn write_metric(metric: &Metric, out: &mut String) -> fmt::Result {
    writeln!(out, "Descriptor:")?;
    writeln!(out, "     -> Name: {}", metric.name)?;
    writeln!(out, "     -> Description: {}", metric.description)?;
    writeln!(out, "     -> Unit: {}", metric.unit)?;
    let kind = match metric.kind() {
        MetricKind::Empty => "Empty",
        MetricKind::Gauge => "Gauge",
        MetricKind::Sum => "Sum",
        MetricKind::Histogram => "Histogram",
        MetricKind::ExponentialHistogram => "ExponentialHistogram",
        MetricKind::Summary => "Summary",
    };
    writeln!(out, "     -> DataType: {kind}")?;
    match &metric.data {
        MetricData::Empty => {}
        MetricData::Gauge(points) => write_numbers(points, out)?,
        MetricData::Sum(sum) => {
            writeln!(out, "     -> IsMonotonic: {}", sum.is_monotonic)?;
            write_temporality(sum.temporality, out)?;
            write_numbers(&sum.points, out)?;
        }
        MetricData::Histogram(histogram) => {
            write_temporality(histogram.temporality, out)?;
            for (at, point) in histogram.points.iter().enumerate() {
                writeln!(out, "HistogramDataPoints #{at}")?;
                write_histogram(point, out)?;
            }
        }
        MetricData::ExponentialHistogram(histogram) => {
            write_temporality(histogram.temporality, out)?;
            for (at, point) in histogram.points.iter().enumerate() {
                writeln!(out, "ExponentialHistogramDataPoints #{at}")?;
                write_exponential(point, out)?;
            }
        }
        MetricData::Summary(points) => {
            for (at, point) in points.iter().enumerate() {
                writeln!(out, "SummaryDataPoints #{at}")?;
                write_summary(point, out)?;
            }
        }
    }
    Ok(())
}

fn write_temporality(temporality: Temporality, out: &mut String) -> fmt::Result {
    let name = match temporality {
        Temporality::Unspecified => "Unspecified",
        Temporality::Delta => "Delta",
        Temporality::Cumulative => "Cumulative",
    };
    writeln!(out, "     -> AggregationTemporality: {name}")
}

fn write_head(attributes: &Attributes, start_ns: TimeNs, time_ns: TimeNs, out: &mut String) -> fmt::Result {
    write_attributes("Data point attributes", attributes, out)?;
    writeln!(out, "StartTimestamp: {}", time_text(start_ns))?;
    writeln!(out, "Timestamp: {}", time_text(time_ns))
}

fn write_numbers(points: &[NumberPoint], out: &mut String) -> fmt::Result {
    for (at, point) in points.iter().enumerate() {
        writeln!(out, "NumberDataPoints #{at}")?;
        write_head(&point.attributes, point.start_time_ns, point.time_ns, out)?;
        write_number("Value", point.value, out)?;
        write_exemplars(&point.exemplars, out)?;
    }
    Ok(())
}

fn write_number(name: &str, value: NumberValue, out: &mut String) -> fmt::Result {
    match value {
        NumberValue::Empty => Ok(()),
        NumberValue::Int(value) => writeln!(out, "{name}: {value}"),
        NumberValue::Double(value) => writeln!(out, "{name}: {}", Fixed(value)),
    }
}

fn write_optional(values: [(&str, Option<f64>); 3], out: &mut String) -> fmt::Result {
    for (name, value) in values {
        if let Some(value) = value {
            writeln!(out, "{name}: {}", Fixed(value))?;
        }
    }
    Ok(())
}

fn write_histogram(point: &HistogramPoint, out: &mut String) -> fmt::Result {
    write_head(&point.attributes, point.start_time_ns, point.time_ns, out)?;
    writeln!(out, "Count: {}", point.count)?;
    write_optional([("Sum", point.sum), ("Min", point.min), ("Max", point.max)], out)?;
    for (at, bound) in point.explicit_bounds.iter().enumerate() {
        writeln!(out, "ExplicitBounds #{at}: {}", Fixed(*bound))?;
    }
    for (at, count) in point.bucket_counts.iter().enumerate() {
        writeln!(out, "Buckets #{at}, Count: {count}")?;
    }
    write_exemplars(&point.exemplars, out)
}

fn write_exponential(point: &ExponentialHistogramPoint, out: &mut String) -> fmt::Result {
    write_head(&point.attributes, point.start_time_ns, point.time_ns, out)?;
    writeln!(out, "Count: {}", point.count)?;
    write_optional([("Sum", point.sum), ("Min", point.min), ("Max", point.max)], out)?;
    let factor = core::f64::consts::LN_2 * (-f64::from(point.scale)).exp2();
    let mut lower = f64::from(point.negative.offset);
    let mut negative = Vec::with_capacity(point.negative.bucket_counts.len());
    for count in &point.negative.bucket_counts {
        negative.push((lower, count));
        lower += 1.0;
    }
    for (index, count) in negative.into_iter().rev() {
        let (from, to) = (-((index + 1.0) * factor).exp(), -(index * factor).exp());
        writeln!(out, "Bucket [{}, {}), Count: {count}", Fixed(from), Fixed(to))?;
    }
    if point.zero_count != 0 {
        writeln!(out, "Bucket [0, 0], Count: {}", point.zero_count)?;
    }
    let mut index = f64::from(point.positive.offset);
    for count in &point.positive.bucket_counts {
        let (from, to) = ((index * factor).exp(), ((index + 1.0) * factor).exp());
        writeln!(out, "Bucket ({}, {}], Count: {count}", Fixed(from), Fixed(to))?;
        index += 1.0;
    }
    write_exemplars(&point.exemplars, out)
}

fn write_summary(point: &SummaryPoint, out: &mut String) -> fmt::Result {
    write_head(&point.attributes, point.start_time_ns, point.time_ns, out)?;
    writeln!(out, "Count: {}", point.count)?;
    writeln!(out, "Sum: {}", Fixed(point.sum))?;
    for (at, quantile) in point.quantiles.iter().enumerate() {
        let (quantile, value) = (Fixed(quantile.quantile), Fixed(quantile.value));
        writeln!(out, "QuantileValue #{at}: Quantile {quantile}, Value {value}")?;
    }
    Ok(())
}

fn write_exemplars(exemplars: &[Exemplar], out: &mut String) -> fmt::Result {
    if !exemplars.is_empty() {
        writeln!(out, "Exemplars:")?;
    }
    for (at, exemplar) in exemplars.iter().enumerate() {
        writeln!(out, "Exemplar #{at}")?;
        writeln!(out, "     -> Trace ID: {}", Hex(&exemplar.trace_id))?;
        writeln!(out, "     -> Span ID: {}", Hex(&exemplar.span_id))?;
        writeln!(out, "     -> Timestamp: {}", time_text(exemplar.time_ns))?;
        write_number("     -> Value", exemplar.value, out)?;
        write_attributes("     -> FilteredAttributes", &exemplar.filtered_attributes, out)?;
    }
    Ok(())
}

fn write_attributes(header: &str, attributes: &Attributes, out: &mut String) -> fmt::Result {
    if attributes.is_empty() {
        return Ok(());
    }
    writeln!(out, "{header}:")?;
    for (key, value) in attributes {
        let kind = match value {
            AttributeValue::Empty => "Empty",
            AttributeValue::String(_) => "Str",
            AttributeValue::Bool(_) => "Bool",
            AttributeValue::Int(_) => "Int",
            AttributeValue::Double(_) => "Double",
            AttributeValue::Bytes(_) => "Bytes",
            AttributeValue::Array(_) => "Slice",
            AttributeValue::Map(_) => "Map",
        };
        writeln!(out, "     -> {key}: {kind}({})", text(value))?;
    }
    Ok(())
}

fn write_words(attributes: &Attributes, out: &mut String) -> fmt::Result {
    for (key, value) in attributes {
        write!(out, " {key}={}", text(value))?;
    }
    Ok(())
}

/// A value as upstream's `AsString` gives it: JSON for lists and maps.
fn text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Empty => String::new(),
        AttributeValue::String(text) => text.as_str().to_owned(),
        other => {
            let mut out = String::new();
            write_json(other, &mut out);
            out
        }
    }
}

fn write_json(value: &AttributeValue, out: &mut String) {
    match value {
        AttributeValue::Empty => out.push_str("null"),
        AttributeValue::String(text) => out.push_str(&serde_json::Value::from(text.as_str()).to_string()),
        AttributeValue::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        AttributeValue::Int(value) => number::write_i64(*value, out),
        AttributeValue::Double(value) => number::write_json(*value, out),
        AttributeValue::Bytes(bytes) => write_base64(bytes, out),
        AttributeValue::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        AttributeValue::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            out.push('{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
    }
}

fn write_base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|at| u32::from(chunk.get(at).copied().unwrap_or(0)));
        let bits = (a << 16) | (b << 8) | c;
        for at in 0..4 {
            let digit = usize::try_from((bits >> (18 - 6 * at)) & 63).unwrap_or(0);
            out.push(if at <= u32::try_from(chunk.len()).unwrap_or(3) {
                char::from(DIGITS[digit])
            } else {
                '='
            });
        }
    }
}

/// As Go prints times: `2020-02-11 20:26:12.000000321 +0000 UTC`.
fn time_text(at_ns: TimeNs) -> String {
    let time = i128::from(at_ns);
    match jiff::Timestamp::from_nanosecond(time) {
        Ok(time) => {
            let whole = time.strftime("%Y-%m-%d %H:%M:%S%.f").to_string();
            format!("{whole} +0000 UTC")
        }
        Err(_) => at_ns.to_string(),
    }
}

/// Go's `%f`.
struct Fixed(f64);

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() {
            f.write_str("NaN")
        } else if self.0.is_infinite() {
            f.write_str(if self.0 > 0.0 { "+Inf" } else { "-Inf" })
        } else {
            write!(f, "{:.6}", self.0)
        }
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.iter().any(|byte| *byte != 0) {
            for byte in self.0 {
                write!(f, "{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use otelpipe_core::metric::{Histogram, Sum};
    use otelpipe_core::point::Quantile;

    fn batch() -> MetricBatch {
        let mut batch = MetricBatch::default();
        let second = 1_000_000_000;
        batch.scope_mut().scope.name = "lib".into();
        batch.scope_mut().scope.version = "1".into();
        let gauge = NumberPoint::new(0.5, 1_581_452_772 * second + 321).with("pod", "web").with("n", 3);
        let sum = Sum {
            points: vec![NumberPoint { start_time_ns: second, ..NumberPoint::new(7, 2 * second) }],
            temporality: Temporality::Cumulative,
            is_monotonic: true,
        };
        let histogram = HistogramPoint {
            count: 3,
            sum: Some(1e6),
            bucket_counts: vec![1, 2],
            explicit_bounds: vec![0.25],
            ..HistogramPoint::default()
        };
        let histogram = Histogram { points: vec![histogram], temporality: Temporality::Delta };
        let summary = SummaryPoint {
            count: 2,
            sum: 3.0,
            quantiles: vec![Quantile { quantile: 0.5, value: 1.5 }],
            ..SummaryPoint::default()
        };
        let mut cpu = Metric::new("cpu", MetricData::Gauge(vec![gauge]));
        cpu.unit = "1".into();
        batch.scope_mut().metrics = vec![
            cpu,
            Metric::new("total", MetricData::Sum(sum)),
            Metric::new("time", MetricData::Histogram(histogram)),
            Metric::new("quantiles", MetricData::Summary(vec![summary])),
        ];
        batch.resources[0].resource.attributes.insert("service.name", "shop");
        batch
    }

    #[test]
    fn normal_is_one_line_a_point() {
        let mut out = String::new();
        write_normal(&batch(), &mut out).unwrap();
        assert_eq!(
            out,
            "ResourceMetrics #0 service.name=shop\n\
             ScopeMetrics #0 lib@1\n\
             cpu{pod=web,n=3} 0.5\n\
             total{} 7\n\
             time{} count=3 sum=1e+06 le0.25=1 2\n\
             quantiles{} count=2 sum=3 q0.5=1.5\n"
        );
    }

    #[test]
    fn detailed_has_every_field_in_upstreams_layout() {
        let mut out = String::new();
        write_detailed(&batch(), &mut out).unwrap();
        let expected = include_str!("../../../tests/data/debug-detailed.txt");
        assert_eq!(out, expected);
    }

    #[test]
    fn values_are_text_as_upstream_gives_them() {
        let list =
            AttributeValue::Array(vec![AttributeValue::from("a\"b"), AttributeValue::Double(1.0)].into());
        assert_eq!(text(&list), r#"["a\"b",1]"#);
        let map: Attributes =
            [("b", AttributeValue::Bool(true)), ("a", AttributeValue::Empty)].into_iter().collect();
        assert_eq!(text(&AttributeValue::Map(map)), r#"{"a":null,"b":true}"#);
        for (bytes, base64) in [(&b"a"[..], "YQ=="), (b"ab", "YWI="), (b"abc", "YWJj"), (b"", "")] {
            assert_eq!(text(&AttributeValue::Bytes(bytes.into())), base64);
        }
    }
}
