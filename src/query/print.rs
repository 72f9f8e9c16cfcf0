//! Panel queries back as text, in one canonical form that parses to the same again.

use std::fmt::{self, Display, Formatter, Write};

use super::ast::*;
use super::error::{Error, Problem, glance};
use super::lex;

/// The canonical text of a panel query that did not come out of [`parse`](super::parse()), such as one that the visual
/// builder sent.
///
/// # Errors
/// If no text says it: a name that is none, an empty list, a limit of zero. The span is a part of the text that the
/// panel query would have been.
pub fn format(query: &PanelQuery) -> Result<String, Error> {
    let mut flat = query.clone();
    let filter = match &mut flat {
        PanelQuery::Measures(measures) => &mut measures.filter,
        PanelQuery::List(list) => &mut list.filter,
        PanelQuery::Values(values) => &mut values.filter,
    };
    *filter = filter.take().map(Condition::flat);
    let text = flat.to_string();
    if super::parse(&text)? == flat {
        return Ok(text);
    }
    let span = Span { from: 0, to: text.len() };
    Err(Error::new(&text, span, Problem::Unwritable { text: glance(&text) }))
}

fn list<T: Display>(f: &mut Formatter<'_>, parts: &[T]) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}

fn clause<T: Display>(f: &mut Formatter<'_>, word: &str, value: &Option<T>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {word} {value}"),
        None => Ok(()),
    }
}

fn quoted(f: &mut Formatter<'_>, quote: char, text: &str) -> fmt::Result {
    f.write_char(quote)?;
    for c in text.chars() {
        if c == quote {
            f.write_char(c)?;
        }
        f.write_char(c)?;
    }
    f.write_char(quote)
}

impl Display for PanelQuery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            PanelQuery::Measures(measures) => measures.fmt(f),
            PanelQuery::List(list) => list.fmt(f),
            PanelQuery::Values(values) => values.fmt(f),
        }
    }
}

impl Display for Measures {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        list(f, &self.items)?;
        if !self.by.is_empty() {
            f.write_str(" by ")?;
            list(f, &self.by)?;
        }
        clause(f, "where", &self.filter)?;
        clause(f, "every", &self.every)?;
        if let Some(Pick { end, count, .. }) = self.pick {
            write!(f, " {end} {count}")?;
        }
        clause(f, "min", &self.min)?;
        clause(f, "vs", &self.vs)
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(aggregate) = self.aggregate {
            write!(f, "{aggregate} ")?;
        }
        f.write_str(&self.measure)?;
        clause(f, "within", &self.within)
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Aggregate::Avg => f.write_str("avg"),
            Aggregate::Min => f.write_str("min"),
            Aggregate::Max => f.write_str("max"),
            Aggregate::Sum => f.write_str("sum"),
            Aggregate::Percentile(tenths) if tenths % 10 == 0 => write!(f, "p{}", tenths / 10),
            Aggregate::Percentile(tenths) => write!(f, "p{}.{}", tenths / 10, tenths % 10),
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Field::Name { name, .. } => f.write_str(name),
            Field::Key { key, .. } if lex::is_bare(key) => write!(f, "annotation.{key}"),
            Field::Key { key, .. } => {
                f.write_str("annotation.")?;
                quoted(f, '"', key)
            }
        }
    }
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            End::Top => "top",
            End::Bottom => "bottom",
        })
    }
}

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit)
    }
}

impl Display for Unit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // `not` binds stronger than `and`, that stronger than `or`.
        let joined = |f: &mut Formatter<'_>, word: &str, parts: &[Condition], loose: fn(&Condition) -> bool| {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    write!(f, " {word} ")?;
                }
                if parts.len() > 1 && loose(part) { write!(f, "({part})")? } else { write!(f, "{part}")? }
            }
            Ok(())
        };
        match self {
            Condition::And(parts) => {
                joined(f, "and", parts, |part| matches!(part, Condition::And(_) | Condition::Or(_)))
            }
            Condition::Or(parts) => joined(f, "or", parts, |part| matches!(part, Condition::Or(_))),
            Condition::Not(part) => match **part {
                Condition::And(_) | Condition::Or(_) => write!(f, "not ({part})"),
                _ => write!(f, "not {part}"),
            },
            Condition::Test { field, test } => write!(f, "{field} {test}"),
            Condition::Flag { flag, .. } => flag.fmt(f),
        }
    }
}

impl Display for Flag {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flag::Signed => "signed",
            Flag::Own => "own",
        })
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let not = |negated: &bool| if *negated { "not " } else { "" };
        match self {
            Test::Compare { op, value } => write!(f, "{op} {value}"),
            Test::In { values, negated } => {
                write!(f, "{}in (", not(negated))?;
                list(f, values)?;
                f.write_char(')')
            }
            Test::Any { negated } => write!(f, "{}in (any)", not(negated)),
            Test::Like { pattern, negated } => write!(f, "{}like {pattern}", not(negated)),
            Test::Between { low, high, negated } => write!(f, "{}between {low} and {high}", not(negated)),
            Test::Null { negated } => write!(f, "is {}null", not(negated)),
            Test::Match { pattern, negated } => write!(f, "{}~ {pattern}", if *negated { "!" } else { "" }),
        }
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Comparison::Eq => "=",
            Comparison::Ne => "!=",
            Comparison::Lt => "<",
            Comparison::Le => "<=",
            Comparison::Gt => ">",
            Comparison::Ge => ">=",
        })
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.literal.fmt(f)
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Text(text) => quoted(f, '\'', text),
            Literal::Number(digits) => f.write_str(digits),
            Literal::Duration(duration) => duration.fmt(f),
            Literal::Boolean(value) => value.fmt(f),
        }
    }
}

impl Display for List {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "list {}", self.of)?;
        clause(f, "where", &self.filter)?;
        clause(f, "order by", &self.order)?;
        clause(f, "limit", &self.limit)
    }
}

impl Display for Listed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Display for Order {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.by, if self.descending { " desc" } else { "" })
    }
}

impl Display for Values {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "values of {}", self.of)?;
        clause(f, "where", &self.filter)?;
        clause(f, "limit", &self.limit)
    }
}
