// Heads of a multiple of four values, read four at a time.

alias Part = vec4<f32>;
const WIDE = 4u;

fn inner(a: Part, b: Part) -> f32 {
    return dot(a, b);
}

// Four products with one part.
fn inner4(a: Part, b: Part, c: Part, d: Part, e: Part) -> vec4<f32> {
    return e * mat4x4(a, b, c, d);
}
