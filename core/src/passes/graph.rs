//! A program under construction over a base model and an adapter: what the blocks (`block/`) add their operations to.

use idiolect_kernels::ops::{WindowReach, WindowSpans};
use idiolect_kernels::program::{BufferId, Operation, Program, RowCounts, Rows, StateId};

use crate::adapter::{LoraLayout, LoraSlot};
use crate::model::BaseModel;
use crate::shape::{ModuleId, Projection};

/// An adapter as the programs of one executor see it.
#[derive(Debug, Clone)]
pub(crate) struct LoraBinding {
    pub layout: LoraLayout,
    /// The flat parameters.
    pub params: StateId,
    /// Dropout on the adapter's input while training; 0 otherwise.
    pub dropout: f32,
}

/// Inputs that every pass has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenInputs {
    /// u32 `[t, 1]`.
    pub ids: BufferId,
    /// u32 `[t, 1]`.
    pub positions: BufferId,
    /// u32 `[t, 2]`, or `[t, 4]` in branches.
    pub spans: BufferId,
}

/// Builds a program over a base model and an adapter.
pub(crate) struct Graph<'a> {
    pub base: &'a BaseModel,
    pub lora: Option<&'a LoraBinding>,
    pub program: Program,
    pub tokens: TokenInputs,
    params: Option<BufferId>,
    /// The spans within each window that a layer asked for.
    windows: Vec<(usize, BufferId)>,
}

impl<'a> Graph<'a> {
    pub fn new(name: &'static str, base: &'a BaseModel, lora: Option<&'a LoraBinding>, capacity: RowCounts) -> Self {
        Self::on(Program::new(name, capacity), base, lora, 2)
    }

    /// The same for a handful of rows, which may be branches: their spans have four numbers.
    pub fn few(name: &'static str, base: &'a BaseModel, lora: Option<&'a LoraBinding>, capacity: RowCounts) -> Self {
        let mut program = Program::new(name, capacity);
        program.few_rows = true;
        Self::on(program, base, lora, 4)
    }

    fn on(mut program: Program, base: &'a BaseModel, lora: Option<&'a LoraBinding>, span: usize) -> Self {
        let tokens = TokenInputs {
            ids: program.input("ids", Rows::Tokens, 1),
            positions: program.input("positions", Rows::Tokens, 1),
            spans: program.input("spans", Rows::Tokens, span),
        };
        let lora = lora.filter(|lora| !lora.layout.is_empty());
        let params = lora.map(|lora| program.state("adapter", lora.params, 1, lora.layout.len()));
        Self { base, lora, program, tokens, params, windows: Vec::new() }
    }

    pub fn push(&mut self, operation: impl Operation + 'static) {
        self.program.push(operation);
    }

    pub fn per_token(&mut self, name: &'static str, width: usize) -> BufferId {
        self.program.scratch(name, Rows::Tokens, width)
    }

    /// Which keys each token sees in a layer.
    pub fn spans(&mut self, layer: usize) -> BufferId {
        let spans = self.tokens.spans;
        let Some(window) = self.base.config.layers[layer].attention.window else { return spans };
        if let Some(&(_, made)) = self.windows.iter().find(|(of, _)| *of == window) {
            return made;
        }
        let out = self.per_token("spans in a window", self.program.buffer(spans).width);
        self.push(WindowSpans { spans, window, out });
        self.windows.push((window, out));
        out
    }

    /// The linear layer of layer `layer` that computes `projection`.
    ///
    /// # Panics
    /// When the family has none: blocks ask for what its row has.
    pub fn module(&self, layer: usize, projection: Projection) -> ModuleId {
        self.base.config.family.computing(layer, projection).expect("a linear layer that the family's row has")
    }

    /// The adapter of a linear layer, with the buffer of its parameters.
    pub fn slot(&self, module: ModuleId) -> Option<(&'a LoraBinding, LoraSlot, BufferId)> {
        let lora = self.lora?;
        Some((lora, lora.layout.slot(module)?, self.params?))
    }
}

/// The way back through a graph, from layer to layer.
pub(crate) struct Backward<'a> {
    pub graph: Graph<'a>,
    /// u32 `[t, 1]`: one past the last token that sees each.
    reach: BufferId,
    /// The gradient of the adapter's parameters, added to.
    pub grads: BufferId,
    /// The gradient of the residual stream, updated in place.
    pub dx: BufferId,
    /// The lowest layer with an adapter: below it nothing learns.
    pub lowest: usize,
    /// As `reach`, within each window that a layer asked for.
    windows: Vec<(usize, BufferId)>,
}

impl<'a> Backward<'a> {
    pub fn new(graph: Graph<'a>, reach: BufferId, grads: BufferId, dx: BufferId, lowest: usize) -> Self {
        Self { graph, reach, grads, dx, lowest, windows: Vec::new() }
    }

    /// The last token that sees each one in a layer.
    pub fn reach(&mut self, layer: usize) -> BufferId {
        let reach = self.reach;
        let Some(window) = self.graph.base.config.layers[layer].attention.window else { return reach };
        if let Some(&(_, made)) = self.windows.iter().find(|(of, _)| *of == window) {
            return made;
        }
        let out = self.graph.per_token("reach in a window", 1);
        self.graph.push(WindowReach { reach, window, out });
        self.windows.push((window, out));
        out
    }
}
