//! deltatorate: the upstream cases R1 to R13, and a slow model over random points.

mod notation;

use notation::{assert_batch, batch};
use otelpipe_core::rate::{DeltaToRate, DeltaToRateConfig, RateError, RateReport, per_second};
use proptest::prelude::*;

fn rule() -> DeltaToRate {
    DeltaToRate::compile(&DeltaToRateConfig { metrics: vec!["m".into()] }).expect("a good configuration")
}

#[test]
fn delta_sums_become_gauges_of_rates() {
    let cases = [
        ("R1", "m:D+{a=1}=120@40→100", "m:G{a=1}=2.0@40→100"),
        ("R2", "m:D+=120.0@40→100 unit By", "m:G=2.0@40→100 unit By/s"),
        ("R2", "m:D+=120.0@40→100 unit By/s", "m:G=2.0@40→100 unit By/s/s"),
        ("R2", "m:D+=120.0@40→100", "m:G=2.0@40→100"),
        ("R3", "m:D+=120.0@100→100", "m:G=0.0@100→100"),
        ("R4", "m:D+=120.0@160→100", "m:G=0.0@160→100"),
        ("R5", "m:D+=120.0@0→1700000000", "m:G=7.058823529411765e-08@0→1700000000"),
        ("R7", "m:D~=-120.0@40→100", "m:G=-2.0@40→100"),
        ("R8", "m:D+=NaN@40→100", "m:G=NaN@40→100"),
        ("R8", "m:D+=+Inf@40→100", "m:G=+Inf@40→100"),
        ("R10", "m2:D+=120@40→100", "m2:D+=120@40→100"),
        ("R11", "m:D+", "m:G"),
        ("R12", "m:D+=1@97→100", "m:G=0.3333333333333333@97→100"),
    ];
    for (case, arrives, leaves) in cases {
        let mut got = batch(arrives);
        rule().apply(&mut got).expect(case);
        assert_batch(&got, leaves, case);
    }
}

#[test]
fn what_is_no_delta_sum_passes_and_is_counted() {
    for unchanged in ["m:C+=120.0", "m:U~=1", "m:G=120.0", "m:HD n=1", "m:Y n=1"] {
        let mut got = batch(unchanged);
        let report = rule().apply(&mut got);
        assert_eq!(report, Ok(RateReport { converted: 0, not_delta_sums: 1 }), "R6 {unchanged}");
        assert_batch(&got, unchanged, "R6");
    }
}

#[test]
fn a_point_without_value_or_a_rule_without_names_is_an_error() {
    let error = rule().apply(&mut batch("m:D+=none")).expect_err("R9");
    assert_eq!(error, RateError::NoValue { metric: "m".into() });
    let error = DeltaToRate::compile(&DeltaToRateConfig::default()).expect_err("R13");
    assert_eq!(error.to_string(), "metrics: metric names are missing");
}

proptest! {
    #[test]
    fn a_rate_is_the_value_over_the_seconds(value in -1e9..1e9_f64, start in 0..u32::MAX, took in 1..u32::MAX) {
        let wanted = value / (f64::from(took) / 1e9);
        let (start, took) = (u64::from(start), u64::from(took));
        let got = per_second(value, start, start + took);
        prop_assert!((got - wanted).abs() <= wanted.abs() * 1e-14, "{} {}", got, wanted);
        prop_assert_eq!(per_second(value, start + took, start), 0.0);
    }
}
