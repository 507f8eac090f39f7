//! Units: the names that CloudWatch knows, and those of OpenTelemetry.

/// The units that CloudWatch knows, in upper and lower case as written here.
pub const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// The unit as documents carry it: UCUM short forms become CloudWatch's names, all
/// else passes unchanged, also what CloudWatch does not know. Values are not rescaled.
///
/// ```
/// use otelpipe_emf::unit::from_ucum;
/// assert_eq!(from_ucum("By"), "Bytes");
/// assert_eq!(from_ucum("1"), "");
/// assert_eq!(from_ucum("Millicore"), "Millicore");
/// ```
///
/// Source: `translateUnit` in `exporter/awsemfexporter/grouped_metric.go`.
pub fn from_ucum(unit: &str) -> &str {
    match unit {
        "1" | "ns" => "",
        "ms" => "Milliseconds",
        "s" => "Seconds",
        "us" => "Microseconds",
        "By" => "Bytes",
        "bit" => "Bits",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_become_names_and_the_rest_passes() {
        for (unit, name) in [
            ("1", ""),
            ("ns", ""),
            ("ms", "Milliseconds"),
            ("s", "Seconds"),
            ("us", "Microseconds"),
            ("By", "Bytes"),
            ("bit", "Bits"),
            ("Bi", "Bi"),
            ("%", "%"),
            ("{count}", "{count}"),
            ("kBy", "kBy"),
            ("", ""),
        ] {
            assert_eq!(from_ucum(unit), name, "{unit}");
        }
    }
}
