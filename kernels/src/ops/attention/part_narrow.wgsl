// Heads of any number of values, read one by one.

alias Part = f32;
const WIDE = 1u;

fn inner(a: Part, b: Part) -> f32 {
    return a * b;
}

// Four products with one part.
fn inner4(a: Part, b: Part, c: Part, d: Part, e: Part) -> vec4<f32> {
    return vec4(a, b, c, d) * e;
}
