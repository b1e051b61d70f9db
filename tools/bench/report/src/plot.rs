// SPDX-License-Identifier: GPL-2.0

//! Plots, as SVG.

use super::{
    Result,
    Results,
    OURS, //
};
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (1000, 640);

/// Draws what there are measurements for.
pub(crate) fn all(results: &Results, out: &Path) -> Result<()> {
    ratios(results, &out.join("bench-ratio.svg"))
}

/// All metrics, as a ratio to tmpfs.
fn ratios(results: &Results, file: &Path) -> Result<()> {
    let bars: Vec<(&str, f64)> = results
        .metrics
        .iter()
        .filter_map(|metric| {
            let ours = results.get(&metric.name, OURS)?;
            let theirs = results.get(&metric.name, "tmpfs")?;
            (ours > 0.0 && theirs > 0.0).then(|| (metric.name.as_str(), ours / theirs))
        })
        .collect();
    if bars.is_empty() {
        return Ok(());
    }
    let (low, high) = (0.5, 64.0);
    let root = SVGBackend::new(file, (SIZE.0, 80 + 18 * bars.len() as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("snapmapfs / tmpfs, by instructions", ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(380)
        .build_cartesian_2d(
            (low..high).log_scale().base(2.0),
            (0..bars.len()).into_segmented(),
        )?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(bars.len())
        .y_label_formatter(&|segment| match segment {
            SegmentValue::CenterOf(i) => bars.get(*i).map_or("", |bar| bar.0).to_string(),
            _ => String::new(),
        })
        .x_label_formatter(&|x| format!("{x}"))
        .draw()?;
    chart.draw_series(bars.iter().enumerate().map(|(i, (_, ratio))| {
        let to = ratio.clamp(low, high);
        let mut bar = Rectangle::new(
            [
                (1.0, SegmentValue::Exact(i)),
                (to, SegmentValue::Exact(i + 1)),
            ],
            BLUE.mix(0.6).filled(),
        );
        bar.set_margin(3, 3, 0, 0);
        bar
    }))?;
    chart.draw_series(bars.iter().enumerate().map(|(i, (_, ratio))| {
        EmptyElement::at((ratio.clamp(1.0, high / 2.0), SegmentValue::CenterOf(i)))
            + Text::new(format!("{ratio:.2}"), (6, -6), ("sans-serif", 12))
    }))?;
    root.present()?;
    Ok(())
}
