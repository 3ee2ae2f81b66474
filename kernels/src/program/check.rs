//! What operations ask of the shapes of their buffers and weights, held against them before a program is planned or
//! loaded: on a shape that an operation is not made for, each executor would do something else.

use super::{BufferId, Kind, MatrixId, Program, Rows, VectorId, Weights};
use crate::error::{Error, Result};

/// The shapes of [`Weights`].
#[derive(Debug, Clone)]
pub struct WeightShapes {
    /// Rows and columns.
    matrices: Vec<(usize, usize)>,
    /// Values.
    vectors: Vec<usize>,
}

#[cfg(feature = "gpu")]
impl WeightShapes {
    /// Values of a vector.
    pub(crate) fn vector_len(&self, id: VectorId) -> usize {
        self.vectors[id.0]
    }
}

impl Weights {
    /// The shapes of everything stored.
    pub fn shapes(&self) -> WeightShapes {
        WeightShapes {
            matrices: self.matrices.iter().map(|matrix| (matrix.rows(), matrix.cols())).collect(),
            vectors: self.vectors.iter().map(Vec::len).collect(),
        }
    }
}

impl Program {
    /// Checks what every operation asks of shapes.
    ///
    /// # Errors
    /// A shape error that names the operation.
    pub fn check_shapes(&self, weights: &WeightShapes) -> Result<()> {
        self.operations
            .iter()
            .try_for_each(|operation| operation.check(&Shapes { operation: operation.name(), program: self, weights }))
    }

    /// Checks that the state tensors that it views, of `lens` values, are there.
    ///
    /// # Errors
    /// A shape error that names the buffer.
    pub fn check_states(&self, lens: &[usize]) -> Result<()> {
        for (id, buffer) in self.buffers() {
            let Kind::State(state) = buffer.kind else { continue };
            let len = self.rows(id).saturating_mul(buffer.width);
            if lens.get(state.0).is_none_or(|&held| len > held) {
                return Err(Error::Shape(format!("{}: no state tensor of {len} values", buffer.name)));
            }
        }
        Ok(())
    }
}

/// The shapes that one operation sees.
#[derive(Debug)]
pub struct Shapes<'a> {
    operation: &'static str,
    program: &'a Program,
    weights: &'a WeightShapes,
}

impl Shapes<'_> {
    /// Values a row of a buffer.
    pub fn width(&self, id: BufferId) -> usize {
        self.program.buffer(id).width
    }

    /// Values of a buffer at most.
    pub fn len(&self, id: BufferId) -> usize {
        self.program.rows(id).saturating_mul(self.width(id))
    }

    /// Rows and columns of a matrix.
    ///
    /// # Errors
    /// When there is none.
    pub fn matrix(&self, id: MatrixId) -> Result<(usize, usize)> {
        self.weights.matrices.get(id.0).copied().ok_or_else(|| self.refusal(format_args!("no matrix {}", id.0)))
    }

    /// Values of a vector.
    ///
    /// # Errors
    /// When there is none.
    pub fn vector(&self, id: VectorId) -> Result<usize> {
        self.weights.vectors.get(id.0).copied().ok_or_else(|| self.refusal(format_args!("no vector {}", id.0)))
    }

    /// Refuses buffers that do not have `width` values a row.
    ///
    /// # Errors
    /// Naming the first of them.
    pub fn expect_width(&self, width: usize, ids: &[BufferId]) -> Result<()> {
        let wrong = ids.iter().map(|&id| self.program.buffer(id)).find(|buffer| buffer.width != width);
        wrong.map_or(Ok(()), |buffer| {
            Err(self.refusal(format_args!("{} has {} values a row, not {width}", buffer.name, buffer.width)))
        })
    }

    /// Refuses a vector that does not have `len` values.
    ///
    /// # Errors
    /// Saying what `what` has instead.
    pub fn expect_vector(&self, what: &str, id: VectorId, len: usize) -> Result<()> {
        let held = self.vector(id)?;
        self.expect(held == len, format_args!("{what} of {held} values for rows of {len}"))
    }

    /// Refuses a vector that does not fit into a row of `width` values a whole number of times.
    ///
    /// # Errors
    /// Saying what `what` has instead.
    pub fn expect_vector_of_parts(&self, what: &str, id: VectorId, width: usize) -> Result<()> {
        let held = self.vector(id)?;
        let fits = held > 0 && width > 0 && width.is_multiple_of(held);
        self.expect(fits, format_args!("{what} of {held} values for rows of {width}"))
    }

    /// Refuses buffers that do not all have the rows of the first.
    ///
    /// # Errors
    /// Naming the first that differs.
    pub fn expect_same_rows(&self, ids: &[BufferId]) -> Result<()> {
        let buffers = ids.iter().map(|&id| self.program.buffer(id));
        let Some(first) = buffers.clone().next() else { return Ok(()) };
        buffers.into_iter().find(|buffer| buffer.rows != first.rows).map_or(Ok(()), |other| {
            let names = (other.name, other.rows, first.name, first.rows);
            Err(self.refusal(format_args!("{} has rows {:?}, and {} has {:?}", names.0, names.1, names.2, names.3)))
        })
    }

    /// Refuses a buffer that has no rows, or whose rows change from run to run.
    ///
    /// # Errors
    /// Naming it.
    pub fn expect_fixed_rows(&self, id: BufferId) -> Result<()> {
        let buffer = self.program.buffer(id);
        let fixed = matches!(buffer.rows, Rows::Fixed(1..));
        self.expect(fixed, format_args!("{} has rows {:?}, not always as many", buffer.name, buffer.rows))
    }

    /// Refuses a buffer that has no `len` values from `start` on.
    ///
    /// # Errors
    /// Naming it.
    pub fn expect_range(&self, id: BufferId, start: usize, len: usize) -> Result<()> {
        let held = self.len(id);
        let fits = start.checked_add(len).is_some_and(|end| end <= held);
        let name = self.program.buffer(id).name;
        self.expect(fits, format_args!("{name} has {held} values, and {len} from {start} on are needed"))
    }

    /// Refuses what does not hold.
    ///
    /// # Errors
    /// Saying `otherwise`.
    pub fn expect(&self, holds: bool, otherwise: std::fmt::Arguments<'_>) -> Result<()> {
        if holds { Ok(()) } else { Err(self.refusal(otherwise)) }
    }

    fn refusal(&self, what: std::fmt::Arguments<'_>) -> Error {
        Error::Shape(format!("{}: {what}", self.operation))
    }
}
