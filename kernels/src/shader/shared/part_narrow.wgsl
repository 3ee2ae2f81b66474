// Heads of any number of values, read one by one.

alias Part = f32;
const WIDE = 1u;

fn inner(a: Part, b: Part) -> f32 {
    return a * b;
}
