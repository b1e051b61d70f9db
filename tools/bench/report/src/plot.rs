// SPDX-License-Identifier: GPL-2.0

//! Plots, as SVG.

use super::{
    Result,
    Results,
    OURS, //
};
use plotters::prelude::*;
use std::path::Path;

/// Draws what there are measurements for.
pub(crate) fn all(results: &Results, out: &Path) -> Result<()> {
    ratios(results, &out.join("bench-ratio.svg"))?;
    mappings(results, &out.join("bench-mappings.svg"))?;
    views(results, &out.join("bench-view.svg"))
}

/// Bars from `base`, on a logarithmic scale.
fn bars(
    file: &Path,
    caption: &str,
    bars: &[(String, f64)],
    base: f64,
    range: (f64, f64),
    label: impl Fn(f64) -> String,
) -> Result<()> {
    if bars.is_empty() {
        return Ok(());
    }
    let (low, high) = range;
    let root = SVGBackend::new(file, (1000, 80 + 18 * bars.len() as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(caption, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(380)
        .build_cartesian_2d((low..high).log_scale(), (0..bars.len()).into_segmented())?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(bars.len())
        .y_label_formatter(&|segment| match segment {
            SegmentValue::CenterOf(i) => bars.get(*i).map_or("", |bar| &bar.0).to_string(),
            _ => String::new(),
        })
        .x_label_formatter(&|x| label(*x))
        .draw()?;
    chart.draw_series(bars.iter().enumerate().map(|(i, (_, value))| {
        let to = value.clamp(low, high);
        let mut bar = Rectangle::new(
            [
                (base, SegmentValue::Exact(i)),
                (to, SegmentValue::Exact(i + 1)),
            ],
            BLUE.mix(0.6).filled(),
        );
        bar.set_margin(3, 3, 0, 0);
        bar
    }))?;
    chart.draw_series(bars.iter().enumerate().map(|(i, (_, value))| {
        EmptyElement::at((value.clamp(base, high / 2.0), SegmentValue::CenterOf(i)))
            + Text::new(label(*value), (6, -6), ("sans-serif", 12))
    }))?;
    root.present()?;
    Ok(())
}

/// All metrics, as a ratio to tmpfs.
fn ratios(results: &Results, file: &Path) -> Result<()> {
    let ratios: Vec<_> = results
        .metrics
        .iter()
        .filter_map(|metric| {
            let ours = results.get(&metric.name, OURS)?;
            let theirs = results.get(&metric.name, "tmpfs")?;
            (ours > 0.0 && theirs > 0.0).then(|| (metric.name.clone(), ours / theirs))
        })
        .collect();
    let caption = "snapmapfs / tmpfs, lower is better";
    bars(file, caption, &ratios, 1.0, (0.5, 200.0), |x| {
        format!("{x:.2}")
    })
}

/// How long it takes until there is a view of 1 GiB.
fn views(results: &Results, file: &Path) -> Result<()> {
    let times: Vec<_> = results
        .on_all("view of 1 GiB: until it is there")
        .map(|(system, time)| (system.to_string(), time))
        .collect();
    let caption = "Until there is a consistent view of 1 GiB, ns";
    bars(file, caption, &times, 1e3, (1e3, 1e11), |x| {
        format!("{x:.0}")
    })
}

/// The first write to a page, by the number of mappings.
fn mappings(results: &Results, file: &Path) -> Result<()> {
    type Name = fn(u32) -> String;
    let lines: [(&str, &str, Name, RGBColor); 4] = [
        (
            "snapmapfs, one instant",
            OURS,
            |n| format!("first write 4 KiB, {n} mappings"),
            BLUE,
        ),
        (
            "snapmapfs, as many instants",
            OURS,
            |n| format!("first write 4 KiB, {n} mappings of as many instants"),
            RED,
        ),
        (
            "snapmapfs, processes (1000 at most)",
            OURS,
            |n| {
                format!(
                    "first write 4 KiB, {n} mappings in {} processes",
                    n.min(1000)
                )
            },
            GREEN,
        ),
        (
            "tmpfs",
            "tmpfs",
            |n| format!("first write 4 KiB, {n} mappings"),
            BLACK,
        ),
    ];
    let points = |system: &str, name: Name| -> Vec<(f64, f64)> {
        [1, 10, 100, 1000, 2000, 10000]
            .into_iter()
            .filter_map(|n| Some((f64::from(n), results.get(&name(n), system)?)))
            .collect()
    };
    if points(OURS, lines[0].2).is_empty() {
        return Ok(());
    }
    let root = SVGBackend::new(file, (800, 500)).into_drawing_area();
    root.fill(&WHITE)?;
    let caption = "The first write of 4 KiB to a page, ns, by the number of mappings of it";
    let mut chart = ChartBuilder::on(&root)
        .caption(caption, ("sans-serif", 16))
        .margin(15)
        .x_label_area_size(30)
        .y_label_area_size(70)
        .build_cartesian_2d((1f64..10000f64).log_scale(), (1e3f64..1e8f64).log_scale())?;
    chart
        .configure_mesh()
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    for (label, system, name, colour) in lines {
        let points = points(system, name);
        chart
            .draw_series(LineSeries::new(points.clone(), colour).point_size(3))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
        chart.draw_series(points.iter().map(|at| Circle::new(*at, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .draw()?;
    root.present()?;
    Ok(())
}
