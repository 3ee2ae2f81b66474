// out = residual + x·Wᵀ + bias + scale·low·Bᵀ for one row of x.
//
// Eight threads share four rows of W; each takes every eighth run of 32 columns, and the first adds the sums up.

const SHARE = 8u;
const RUN = 4u;

var<workgroup> partial: array<vec4<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let quad = (group.x + params.first_x) * (64u / SHARE) + lane / SHARE;
    let share = lane % SHARE;
    var sum = vec4(0.0);
    if quad < params.quads {
        for (var first = share * RUN; first < params.blocks; first += SHARE * RUN) {
            let a = affine(quad * params.groups + first / params.blocks_per_group);
            for (var b = first; b < min(first + RUN, params.blocks); b++) {
                let w = block(quad * params.blocks + b, a);
                sum += w.low * input4(params.input_row, 2u * b) + w.high * input4(params.input_row, 2u * b + 1u);
            }
        }
    }
    partial[lane] = sum;
    workgroupBarrier();
    if share != 0u || quad >= params.quads {
        return;
    }
    for (var i = 1u; i < SHARE; i++) {
        sum += partial[lane + i];
    }
    for (var j = 0u; j < params.rank; j++) {
        let factor = params.factor_scale * factor4(params.shard_row + 4u * quad, j);
        sum += low[params.input_row * params.rank + j] * factor;
    }
    store4(0u, 4u * quad, sum);
}
