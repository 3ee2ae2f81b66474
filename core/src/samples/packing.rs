//! Samples side by side in rows, so that short messages waste nothing: attention stays inside each sample and positions
//! restart.

use std::ops::Range;

use idiolect_kernels::ops::Packing;

/// One sample: token ids, and from where on they carry loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Token ids; the last one is only predicted.
    pub ids: Vec<u32>,
    /// Index of the first id that carries loss; at least 1, since nothing predicts the first id.
    pub supervised_from: usize,
    /// Index ranges of ids that carry none although they come later: what a privacy filter put there.
    pub masked: Vec<Range<usize>>,
    /// Bytes of the text that carries loss.
    pub text_bytes: usize,
}

impl Sample {
    /// Bytes that it takes in memory, the allocator's own among them.
    pub(crate) fn bytes(&self) -> usize {
        const BLOCK: usize = 16;
        let heap = self.ids.capacity() * 4 + self.masked.capacity() * size_of::<Range<usize>>();
        size_of::<Self>() + heap + BLOCK * (1 + usize::from(!self.masked.is_empty()))
    }

    /// Tokens that go through the model.
    pub fn inputs(&self) -> usize {
        self.ids.len().saturating_sub(1)
    }

    /// Indices of the ids that carry loss.
    pub fn targets(&self) -> impl Iterator<Item = usize> {
        let carries = |index: &usize| !self.masked.iter().any(|range| range.contains(index));
        (self.supervised_from.max(1)..self.ids.len()).filter(carries)
    }

    /// Tokens that carry loss.
    pub fn supervised(&self) -> usize {
        self.targets().count()
    }
}

/// Samples packed into one row of the model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackedRow {
    /// `[t]`.
    pub ids: Vec<u32>,
    /// Positions and who sees whom.
    pub packing: Packing,
    /// Rows whose next token carries loss.
    pub selected: Vec<u32>,
    /// Those next tokens.
    pub targets: Vec<u32>,
    /// Which sample (its index in the call) each selected token belongs to.
    pub owners: Vec<usize>,
}

/// Packs `samples` into as few rows of at most `capacity` tokens as first-fit finds; a longer sample gets a row of its
/// own, which must fit the program. Samples without a supervised token are left out.
pub fn pack<'a>(samples: impl IntoIterator<Item = &'a Sample>, capacity: usize) -> Vec<PackedRow> {
    packed(samples, capacity).collect()
}

/// The same rows, made one after the other: a row takes many times the memory of its samples.
pub(crate) fn packed<'a>(
    samples: impl IntoIterator<Item = &'a Sample>,
    capacity: usize,
) -> impl Iterator<Item = PackedRow> {
    let mut bins: Vec<(usize, Vec<(usize, &Sample)>)> = Vec::new();
    for (index, sample) in samples.into_iter().enumerate().filter(|(_, sample)| sample.supervised() > 0) {
        match bins.iter_mut().find(|(used, _)| used + sample.inputs() <= capacity) {
            Some((used, members)) => {
                *used += sample.inputs();
                members.push((index, sample));
            }
            None => bins.push((sample.inputs(), vec![(index, sample)])),
        }
    }
    bins.into_iter().map(|(_, members)| row(&members))
}

fn row(members: &[(usize, &Sample)]) -> PackedRow {
    let lengths: Vec<usize> = members.iter().map(|(_, sample)| sample.inputs()).collect();
    let mut row = PackedRow { packing: Packing::samples(&lengths), ..PackedRow::default() };
    for &(index, sample) in members {
        let start = row.ids.len();
        row.ids.extend(&sample.ids[..sample.inputs()]);
        for target in sample.targets() {
            row.selected.push((start + target - 1) as u32);
            row.targets.push(sample.ids[target]);
            row.owners.push(index);
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ids: &[u32], supervised_from: usize) -> Sample {
        Sample { ids: ids.to_vec(), supervised_from, masked: Vec::new(), text_bytes: 0 }
    }

    #[test]
    fn samples_share_rows_and_keep_apart() {
        let samples = [sample(&[1, 2, 3, 4], 1), sample(&[5, 6], 2), sample(&[7, 8, 9], 2), sample(&[1; 9], 1)];
        let rows = pack(&samples, 5);
        assert_eq!(rows.len(), 2, "the second sample carries no loss, the last is longer than a row");
        assert_eq!(rows[0].ids, [1, 2, 3, 7, 8]);
        assert_eq!(rows[0].packing.positions, [0, 1, 2, 0, 1]);
        assert_eq!(rows[0].packing.spans, [0, 0, 0, 1, 0, 2, 3, 3, 3, 4]);
        assert_eq!(rows[0].packing.reach, [3, 3, 3, 5, 5]);
        assert_eq!((&rows[0].selected[..], &rows[0].targets[..]), (&[0, 1, 2, 4][..], &[2, 3, 4, 9][..]));
        assert_eq!(rows[0].owners, [0, 0, 0, 2]);
        assert_eq!(rows[1].ids.len(), 8);

        let masked = Sample { masked: vec![2..4, 5..9], ..sample(&[1, 2, 3, 4, 5, 6], 1) };
        let rows = pack([&masked], 5);
        assert_eq!((masked.supervised(), &rows[0].selected[..], &rows[0].targets[..]), (2, &[0, 3][..], &[2, 5][..]));
    }
}
