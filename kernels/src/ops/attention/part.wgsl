// What a head is read by: four values at a time where it has a multiple of four, else one by one.

#if WIDE
alias Part = vec4<f32>;
#else
alias Part = f32;
#end

fn inner(a: Part, b: Part) -> f32 {
#if WIDE
    return dot(a, b);
#else
    return a * b;
#end
}

// Four products with one part.
fn inner4(a: Part, b: Part, c: Part, d: Part, e: Part) -> vec4<f32> {
#if WIDE
    return e * mat4x4(a, b, c, d);
#else
    return vec4(a, b, c, d) * e;
#end
}
