//! What an alert rule may be told: a number that is true, or an error that says why there is none.

use arrow::array::AsArray as _;
use arrow::{array::BooleanArray, compute::filter_record_batch, datatypes::TimestampMicrosecondType};
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    frame::{self, said},
    refusal::{Kind, Refusal},
};
use crate::{
    answer::Answer,
    ask::Asked,
    history::Interval,
    model::{Buckets, Plan, Question, Role},
};

/// How far what is collected may be behind what a rule asks about.
pub const LAG: TimeDelta = TimeDelta::minutes(5);

/// The answer as a rule over that range may have it: without figures that are not there, and of a series only the buckets that are whole.
///
/// # Errors
/// Says that rows were left out or are not seen, or which part of the time is not collected: a rule would be evaluated on
/// another number than it asks for.
pub fn sure(asked: &Asked, range: Interval) -> Result<Asked, Refusal> {
    let Asked { answer, plan, .. } = asked;
    frame::one_figure(&answer.columns, "rule")?;
    let unsure = |sentence: String| Err(Refusal::new(Kind::Unsure, sentence));
    if answer.cut {
        let why = answer.notices.iter().find(|notice| notice.starts_with("only the")).map_or("", String::as_str);
        return unsure(format!("this rule would be evaluated on a part of the answer: {why}"));
    }
    if let Some(why) = &answer.unsure {
        return unsure(format!("this rule would be evaluated on another number than it asks for: {why}"));
    }
    // A clock that stands, or is behind, is as good as a collector that has stopped.
    let end = range.1.min(Utc::now().max(plan.now));
    let behind = plan.now.max(range.0);
    let unseen = (behind < end).then_some((behind, end));
    let buckets = match &plan.question {
        Question::Figures(figures) => figures.buckets.as_ref(),
        _ => None,
    };
    for (from, to) in answer.missing.iter().chain(&unseen) {
        // Of buckets only what the range has of them; the earlier time that `vs` names lies outside.
        let inside = *from < end && *to > range.0;
        let (from, to) = if inside { (*from.max(&range.0), *to.min(&end)) } else { (*from, *to) };
        let last = inside && to >= end;
        if (last && to - from <= LAG) || (!inside && from >= end) {
            continue;
        }
        return unsure(match last {
            true if from <= range.0 => format!(
                "nothing is collected of the range, {} to {}; the collector may have stopped",
                said(range.0),
                said(end)
            ),
            true => format!(
                "the range ends at {}, and only until {} is collected, which is more than {} min behind; the collector may \
                 have stopped",
                said(end),
                said(from),
                LAG.num_minutes()
            ),
            false => {
                format!("{} to {} is not collected, so a rule over that time would be wrong", said(from), said(to))
            }
        });
    }
    let rows = match buckets {
        None => answer.rows.clone(),
        Some(buckets) => {
            let whole = whole(range, plan, buckets, &answer.missing);
            let times = answer.columns.iter().position(|column| column.role == Role::Time);
            let Some(times) = times.and_then(|nth| answer.rows.columns().get(nth)) else {
                return Ok(copy(asked, answer.rows.clone()));
            };
            let times = times.as_primitive::<TimestampMicrosecondType>();
            let kept: BooleanArray = times
                .values()
                .iter()
                .map(|micros| {
                    Some(DateTime::from_timestamp_micros(*micros).is_some_and(|at| whole.binary_search(&at).is_ok()))
                })
                .collect();
            filter_record_batch(&answer.rows, &kept).map_err(frame::Error::from)?
        }
    };
    let rows = frame::with_figures(&rows, &answer.columns).map_err(frame::Error::from)?;
    Ok(copy(asked, rows))
}

pub(super) fn copy(asked: &Asked, rows: arrow::record_batch::RecordBatch) -> Asked {
    let answer = Answer { rows, ..asked.answer.clone() };
    Asked { answer, sql: asked.sql.clone(), elapsed: asked.elapsed, plan: asked.plan.clone() }
}

// The starts of the buckets that lie in the range as a whole, are over and are collected, in order.
fn whole(range: Interval, plan: &Plan, buckets: &Buckets, missing: &[Interval]) -> Vec<DateTime<Utc>> {
    let ends = buckets.starts.iter().skip(1).chain([&buckets.end]);
    let known =
        |from: &DateTime<Utc>, to: &DateTime<Utc>| !missing.iter().any(|(first, last)| first < to && from < last);
    let pairs = buckets.starts.iter().zip(ends);
    pairs
        .filter(|(from, to)| **from >= range.0 && **to <= range.1.min(plan.now) && known(from, to))
        .map(|(from, _)| *from)
        .collect()
}
