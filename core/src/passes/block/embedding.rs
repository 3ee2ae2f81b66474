//! Tokens as vectors. The table is frozen and nothing lies below it, so there is no way back.

use idiolect_kernels::ops::Embed;
use idiolect_kernels::program::BufferId;

use crate::passes::graph::Graph;

impl Graph<'_> {
    /// The embedded tokens, scaled in some families, `[t, hidden]`.
    pub fn embed(&mut self) -> BufferId {
        let out = self.per_token("x", self.base.config.hidden_size);
        let scale = self.base.config.embedding_scale;
        self.push(Embed { table: self.base.embedding, ids: self.tokens.ids, out, scale });
        out
    }
}
