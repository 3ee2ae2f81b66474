//! A program under construction over a base model and an adapter: what the blocks (`block/`) add their operations to.

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
    /// u32 `[t, 2]`, or `[t, 3]` in branches.
    pub spans: BufferId,
}

/// Builds a program over a base model and an adapter.
pub(crate) struct Graph<'a> {
    pub base: &'a BaseModel,
    pub lora: Option<&'a LoraBinding>,
    pub program: Program,
    pub tokens: TokenInputs,
    params: Option<BufferId>,
}

impl<'a> Graph<'a> {
    pub fn new(name: &'static str, base: &'a BaseModel, lora: Option<&'a LoraBinding>, capacity: RowCounts) -> Self {
        Self::on(Program::new(name, capacity), base, lora, 2)
    }

    /// The same for a handful of rows, which may be branches: their spans have three numbers.
    pub fn few(name: &'static str, base: &'a BaseModel, lora: Option<&'a LoraBinding>, capacity: RowCounts) -> Self {
        let mut program = Program::new(name, capacity);
        program.few_rows = true;
        Self::on(program, base, lora, 3)
    }

    fn on(mut program: Program, base: &'a BaseModel, lora: Option<&'a LoraBinding>, span: usize) -> Self {
        let tokens = TokenInputs {
            ids: program.input("ids", Rows::Tokens, 1),
            positions: program.input("positions", Rows::Tokens, 1),
            spans: program.input("spans", Rows::Tokens, span),
        };
        let lora = lora.filter(|lora| !lora.layout.is_empty());
        let params = lora.map(|lora| program.state("adapter", lora.params, 1, lora.layout.len()));
        Self { base, lora, program, tokens, params }
    }

    pub fn push(&mut self, operation: impl Operation + 'static) {
        self.program.push(operation);
    }

    pub fn per_token(&mut self, name: &'static str, width: usize) -> BufferId {
        self.program.scratch(name, Rows::Tokens, width)
    }

    /// The linear layer of layer `layer` that computes `projection`.
    pub fn module(&self, layer: usize, projection: Projection) -> ModuleId {
        self.base.config.family.computing(layer, projection)
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
    /// u32 `[t, 1]`: the last token that sees each.
    pub reach: BufferId,
    /// The gradient of the adapter's parameters, added to.
    pub grads: BufferId,
    /// The gradient of the residual stream, updated in place.
    pub dx: BufferId,
    /// The lowest layer with an adapter: below it nothing learns.
    pub lowest: usize,
}
