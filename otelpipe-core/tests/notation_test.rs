//! The test notation itself: what the other tests rely on when they write cases.

mod notation;

use notation::{attributes, batch, write};
use otelpipe_core::metric::{MetricData, Temporality};
use otelpipe_core::point::{Flags, NumberValue};
use otelpipe_core::value::AttributeValue;

#[test]
fn a_batch_reads_and_writes_back() {
    let cases = [
        ("∅", "∅"),
        ("m", "m:G"),
        ("m=5", "m:G{}=5@0→100"),
        ("m:C+{b=2,a=1}=5@5→100", "m:C+{a=1,b=2}=5@5→100"),
        ("m:D~=1.5;{x=}=NaN@40→41 unit By | n=2", "m:D~{}=1.5@0→100;{x=}=NaN@40→41 unit By | n:G{}=2@0→100"),
        ("R{r=1} m=1 | R{r=2} S(s) n:U+=-1.0", "R{r=1} m:G{}=1@0→100 | R{r=2} S(s) n:U+{}=-1.0@0→100"),
        ("R{r=1} S()", "R{r=1} S()"),
        ("m=none@7", "m:G{}=none flags 1@0→7"),
    ];
    for (text, written) in cases {
        assert_eq!(write(&batch(text)), written, "case {text}");
    }
}

#[test]
fn kinds_values_and_fields_arrive_in_the_model() {
    let got = batch("m:HD{a=x} n=3 sum=6 min=1 bounds[1,2] counts[1,1,1]@5→100.5 | m=none");
    let MetricData::Histogram(histogram) = &got.resources[0].scopes[0].metrics[0].data else { panic!() };
    assert_eq!(histogram.temporality, Temporality::Delta);
    let point = &histogram.points[0];
    assert_eq!((point.count, point.sum, point.min, point.max), (3, Some(6.0), Some(1.0), None));
    assert_eq!((&point.explicit_bounds, &point.bucket_counts), (&vec![1.0, 2.0], &vec![1, 1, 1]));
    assert_eq!((point.start_time_ns, point.time_ns), (5_000_000_000, 100_500_000_000));
    let MetricData::Gauge(points) = &got.resources[0].scopes[0].metrics[1].data else { panic!() };
    assert_eq!((points[0].value, points[0].flags), (NumberValue::Empty, Flags::NO_RECORDED_VALUE));
    assert_eq!(attributes("a=5 (int),b=5").get("a"), Some(&AttributeValue::Int(5)));
}
