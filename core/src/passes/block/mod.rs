//! What models are made of, a file a block: what it computes, and beside it its gradient. Every pass, with gradients and
//! without, is assembled from these.

mod attention;
mod embedding;
mod fused;
mod head;
mod layer;
mod linear;
mod mlp;
mod norm;

pub(crate) use attention::LayerCache;
pub(crate) use head::Loss;
pub(crate) use layer::Keep;
