//! Plots as SVG, without a library: bars, and lines over a logarithmic axis.

use core::fmt::Write as _;

/// A bar with its label and its value as text.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it stands for.
    pub label: String,
    /// Its length.
    pub value: f64,
    /// What is written at its end.
    pub text: String,
}

/// Panels of bars, one below the other; every panel has its own scale.
pub fn bars(title: &str, panels: &[(&str, Vec<Bar>)]) -> String {
    let rows: usize = panels.iter().map(|(_, bars)| bars.len()).sum();
    let mut svg = Svg::new(title, 780, 50 + 44 * panels.len() + ROW * rows);
    let mut y = 60;
    for (name, bars) in panels {
        svg.text(16, y, "bold", "start", name);
        y += 14;
        let longest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        for (number, bar) in bars.iter().enumerate() {
            let length = 380.0 * bar.value / longest;
            svg.text(300, y + 15, "normal", "end", &bar.label);
            let color = COLORS[number % COLORS.len()];
            svg.put(&format!(
                "<rect x=\"308\" y=\"{y}\" width=\"{length:.1}\" height=\"20\" fill=\"{color}\"/>"
            ));
            svg.text_at(314.0 + length, y + 15, &bar.text);
            y += ROW;
        }
        y += 30;
    }
    svg.end()
}

/// A line with its name, by x.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it stands for.
    pub label: String,
    /// Points with positive x.
    pub points: Vec<(f64, f64)>,
}

/// Lines over a logarithmic x axis, y from zero.
pub fn lines(title: &str, x_name: &str, y_name: &str, lines: &[Line]) -> String {
    const LEFT: f64 = 80.0;
    const TOP: f64 = 70.0;
    const PLOT: (f64, f64) = (520.0, 280.0);
    let points = || lines.iter().flat_map(|line| &line.points);
    let first = points().map(|point| point.0.log10()).fold(f64::MAX, f64::min).floor();
    let last = points().map(|point| point.0.log10()).fold(first + 1.0, f64::max).ceil();
    let step = round_step(points().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max) / 5.0);
    let top = step * (points().map(|point| point.1).fold(0.0, f64::max) / step).ceil().max(1.0);
    let x = |value: f64| LEFT + PLOT.0 * (value.log10() - first) / (last - first);
    let y = |value: f64| TOP + PLOT.1 * (1.0 - value / top);

    let mut svg = Svg::new(title, 900, 420);
    svg.text(16, 58, "bold", "start", y_name);
    svg.text(340, 398, "bold", "middle", x_name);
    let mut grid = 0.0;
    while grid <= top + step / 2.0 {
        let at = y(grid);
        svg.put(&format!(
            "<path d=\"M{LEFT} {at:.1}H{}\" stroke=\"#ccc\"/><text x=\"{}\" y=\"{:.1}\" \
             text-anchor=\"end\">{}</text>",
            LEFT + PLOT.0,
            LEFT - 8.0,
            at + 4.0,
            short(grid)
        ));
        grid += step;
    }
    let mut power = first;
    while power <= last {
        let at = x(10_f64.powf(power));
        svg.put(&format!(
            "<path d=\"M{at:.1} {TOP}V{}\" stroke=\"#eee\"/><text x=\"{at:.1}\" y=\"{}\" \
             text-anchor=\"middle\">{}</text>",
            TOP + PLOT.1,
            TOP + PLOT.1 + 18.0,
            short(10_f64.powf(power))
        ));
        power += 1.0;
    }
    for (number, line) in lines.iter().enumerate() {
        let color = COLORS[number % COLORS.len()];
        let mut path = String::new();
        for (at, point) in line.points.iter().enumerate() {
            let pen = if at == 0 { 'M' } else { 'L' };
            write!(path, "{pen}{:.1} {:.1}", x(point.0), y(point.1)).expect("a string takes all");
            svg.put(&format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{color}\"/>",
                x(point.0),
                y(point.1)
            ));
        }
        svg.put(&format!("<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>"));
        let legend = 80 + 20 * number;
        svg.put(&format!(
            "<rect x=\"616\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{color}\"/>",
            legend - 10
        ));
        svg.text(634, legend, "normal", "start", &line.label);
    }
    svg.end()
}

/// A step of 1, 2 or 5 times a power of ten, not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(10.0 * power)
}

/// A number of an axis.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} M", value / 1e6),
        value if value >= 1e4 => format!("{} k", value / 1e3),
        value => format!("{}", (value * 1e6).round() / 1e6),
    }
}

struct Svg(String);

impl Svg {
    fn new(title: &str, width: usize, height: usize) -> Self {
        let mut svg = Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n"
        ));
        svg.put(&format!("<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>"));
        svg.put(&format!("<text x=\"16\" y=\"28\" font-size=\"17\">{}</text>", escaped(title)));
        svg
    }

    fn put(&mut self, element: &str) {
        self.0.push_str(element);
        self.0.push('\n');
    }

    fn text(&mut self, x: usize, y: usize, weight: &str, anchor: &str, text: &str) {
        let text = escaped(text);
        self.put(&format!(
            "<text x=\"{x}\" y=\"{y}\" font-weight=\"{weight}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    fn text_at(&mut self, x: f64, y: usize, text: &str) {
        self.put(&format!("<text x=\"{x:.1}\" y=\"{y}\">{}</text>", escaped(text)));
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

const ROW: usize = 26;
const COLORS: [&str; 5] = ["#0b6e4f", "#1f78b4", "#b2562b", "#7a4fa3", "#888888"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_an_axis_are_round() {
        let steps = [0.03, 0.2, 1.1, 4.0, 7.0, 130.0].map(round_step);
        let expected = [0.05, 0.2, 2.0, 5.0, 10.0, 200.0];
        assert!(
            steps.iter().zip(expected).all(|(step, right)| (step / right - 1.0).abs() < 1e-9),
            "{steps:?}"
        );
    }

    #[test]
    fn the_longest_bar_has_the_full_length() {
        let bar = |label: &str, value| Bar { label: label.into(), value, text: format!("{value}") };
        let svg = bars("a < b", &[("CPU", vec![bar("one", 2.0), bar("two", 8.0)])]);
        assert!(svg.contains("a &lt; b"));
        assert!(svg.contains("width=\"95.0\"") && svg.contains("width=\"380.0\""), "{svg}");
    }

    #[test]
    fn a_line_goes_from_its_first_point_to_its_last() {
        let line = Line { label: "l".into(), points: vec![(1e3, 0.0), (1e5, 50.0)] };
        let svg = lines("t", "x", "y", &[line]);
        assert!(svg.contains("d=\"M80.0 350.0L600.0 70.0\""), "{svg}");
    }
}
