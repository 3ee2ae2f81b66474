//! What was made of texts before they are learned or measured, and what memory a training takes beyond the usual.

use std::fmt::{self, Display};

use idiolect::Result;
use idiolect::samples::SampleCounts;
use serde::Serialize;

use crate::output::{Output, megabytes, thousands};

/// What `--json` says before a training's first step, where there is anything to say.
#[derive(Serialize)]
pub struct Preparation {
    samples: Option<SampleCounts>,
    planned_bytes: usize,
    exceeded_budget_bytes: Option<usize>,
}

impl Preparation {
    /// Tells people, and `--json` where something was cut, parted or left out, or the usual budget is exceeded.
    pub fn tell(output: &Output, counts: SampleCounts, planned: usize, exceeded: Option<usize>) -> Result<()> {
        let samples = worth_telling(counts);
        if let Some(counts) = samples {
            output.note(&format!("samples: {}", Cut(counts)));
        }
        output.note(&planned_memory(planned, exceeded));
        if samples.is_none() && exceeded.is_none() {
            return Ok(());
        }
        output.object(&Self { samples, planned_bytes: planned, exceeded_budget_bytes: exceeded })
    }
}

/// The counts where not every text became one sample with all of its context.
pub fn worth_telling(counts: SampleCounts) -> Option<SampleCounts> {
    Some(counts).filter(|counts| !counts.all_whole())
}

/// What became of texts that did not fit, in words.
pub struct Cut(pub SampleCounts);

impl Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SampleCounts { contexts_cut, context_tokens_cut, texts_parted, parts, blank, no_room, refused, .. } =
            self.0;
        let counted = |count: usize, one: &str| match count {
            1 => format!("1 {one}"),
            _ => format!("{} {one}s", thousands(count)),
        };
        let mut said = Vec::new();
        if contexts_cut > 0 {
            let tokens = counted(context_tokens_cut, "token");
            said.push(format!("{} cut at the start, by {tokens}", counted(contexts_cut, "context")));
        }
        if texts_parted > 0 {
            let texts = counted(texts_parted, "text");
            said.push(format!("{texts} longer than a row, parted into {} samples", thousands(parts)));
        }
        if blank > 0 {
            said.push(format!("{} left out: blank", counted(blank, "text")));
        }
        if no_room > 0 {
            let texts = counted(no_room, "text");
            said.push(format!("{texts} left out: the chat template alone fills the row; give a longer --seq-len"));
        }
        if refused > 0 {
            let texts = counted(refused, "text");
            said.push(format!("{texts} left out: the model's chat template or vocabulary refuses them"));
        }
        f.write_str(&said.join("; "))
    }
}

/// The memory of a plan, and why it is more than usual where it is.
pub fn planned_memory(planned: usize, exceeded: Option<usize>) -> String {
    let planned = megabytes(planned);
    match exceeded {
        None => format!("planned memory: {planned}"),
        Some(usual) => {
            format!("planned memory: {planned}, the smallest plan: none keeps to the usual {}", megabytes(usual))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_reads_well() {
        for (counts, said) in [
            (SampleCounts { texts: 2, samples: 2, ..SampleCounts::default() }, ""),
            (
                SampleCounts { contexts_cut: 1, context_tokens_cut: 1234, ..SampleCounts::default() },
                "1 context cut at the start, by 1,234 tokens",
            ),
            (
                SampleCounts { texts_parted: 2, parts: 7, blank: 1, ..SampleCounts::default() },
                "2 texts longer than a row, parted into 7 samples; 1 text left out: blank",
            ),
            (
                SampleCounts { texts: 3, samples: 2, refused: 1, ..SampleCounts::default() },
                "1 text left out: the model's chat template or vocabulary refuses them",
            ),
        ] {
            assert_eq!(Cut(counts).to_string(), said);
        }
        let memory = planned_memory(412_300_000, Some(350_000_000));
        assert_eq!(memory, "planned memory: 412.3 MB, the smallest plan: none keeps to the usual 350.0 MB");
    }
}
