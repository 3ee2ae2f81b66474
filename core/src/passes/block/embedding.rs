//! Tokens as vectors, in some families with their positions, or normalized. The tables are frozen and nothing lies below them,
//! so there is no way back.

use idiolect_kernels::ops::Embed;
use idiolect_kernels::program::BufferId;

use crate::passes::graph::Graph;

impl Graph<'_> {
    /// The embedded tokens, `[t, hidden]`.
    pub fn embed(&mut self) -> BufferId {
        let (base, tokens) = (self.base, self.tokens);
        let out = self.per_token("x", base.config.hidden_size);
        let scale = base.config.embedding_scale;
        self.push(Embed { table: base.embedding, ids: tokens.ids, out, scale, add: false });
        if let Some(table) = base.positions {
            self.push(Embed { table, ids: tokens.positions, out, scale: 1.0, add: true });
        }
        base.embedding_norm.map_or(out, |norm| self.norm(norm, out))
    }
}
