//! Exponentials and logarithms without a branch, of whole arrays: the compiler computes several of them at once. Those of
//! libm come one by one, `exp_m1` and `ln_1p` at twice the price of `exp`. And these are the same to the last bit on every
//! machine.

use std::f64::consts::LOG2_E;

/// ln 2, whose first part has so few bits that its product with an exponent is exact (fdlibm, e_exp.c).
const LN_2: (f64, f64) = (0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10);
/// What is added to it becomes an integer, whose last bits are then those of the sum.
const ROUNDS: f64 = 6_755_399_441_055_744.0;
/// The bits of an exponent lie above these.
const MANTISSA_BITS: u32 = 52;
const EXPONENT_OF_ONE: u64 = 1023;
/// Two to the power of 52, and its bits: a small integer in its place makes the sum of both.
const INTEGERS: f64 = 4_503_599_627_370_496.0;

/// A function of each number, in a plain loop, which is what the compiler makes vectors of.
#[inline(always)]
fn each<const N: usize>(mut numbers: [f64; N], function: impl Fn(f64) -> f64) -> [f64; N] {
    for number in &mut numbers {
        *number = function(*number);
    }
    numbers
}

/// `(f, p)` with `exp(x) = f (1 + p)`, f a power of two and `1 + p` within half a power of it. Beyond what a number holds,
/// x ends.
#[inline(always)]
fn exponential(x: f64) -> (f64, f64) {
    // 1/n! for n from 2 to 13, where |r| <= ln(2)/2 leaves less than 2e-17 of r.
    const COEFFICIENTS: [f64; 12] = [
        1.0 / 2.0,
        1.0 / 6.0,
        1.0 / 24.0,
        1.0 / 120.0,
        1.0 / 720.0,
        1.0 / 5_040.0,
        1.0 / 40_320.0,
        1.0 / 362_880.0,
        1.0 / 3_628_800.0,
        1.0 / 39_916_800.0,
        1.0 / 479_001_600.0,
        1.0 / 6_227_020_800.0,
    ];
    let x = x.clamp(-708.0, 709.0);
    let rounded = x * LOG2_E + ROUNDS;
    let power = rounded - ROUNDS;
    let r = (x - power * LN_2.0) - power * LN_2.1;
    let factor = (rounded.to_bits() << MANTISSA_BITS).wrapping_add(EXPONENT_OF_ONE << MANTISSA_BITS);
    (f64::from_bits(factor), r + r * r * polynomial(&COEFFICIENTS, r))
}

/// The polynomial with these coefficients, that of the highest power last. In pairs, which do not wait for each other, and
/// written out: the compiler makes vectors of what has no loop in it.
#[inline(always)]
fn polynomial(coefficients: &[f64; 12], x: f64) -> f64 {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *coefficients;
    let square = x * x;
    let high = ((k + l * x) * square + (i + j * x)) * square + (g + h * x);
    ((high * square + (e + f * x)) * square + (c + d * x)) * square + (a + b * x)
}

/// `exp(x)`; beyond -708 and 709 it is that of the end.
#[inline(always)]
pub fn exp<const N: usize>(x: [f64; N]) -> [f64; N] {
    each(x, |x| {
        let (factor, p) = exponential(x);
        factor + factor * p
    })
}

/// `exp(x) - 1`, to all digits where x is small.
#[inline(always)]
pub fn exp_m1<const N: usize>(x: [f64; N]) -> [f64; N] {
    each(x, |x| {
        let (factor, p) = exponential(x);
        (factor - 1.0) + factor * p
    })
}

/// `ln(1 + x)` of numbers from 0, to all digits where x is small.
#[inline(always)]
pub fn ln_1p<const N: usize>(x: [f64; N]) -> [f64; N] {
    // 1/(2n+1) for n from 1 to 12: ln(f) = 2 artanh(s), s = (f-1)/(f+1), where s^2 < 0.03.
    const COEFFICIENTS: [f64; 12] = [
        1.0 / 3.0,
        1.0 / 5.0,
        1.0 / 7.0,
        1.0 / 9.0,
        1.0 / 11.0,
        1.0 / 13.0,
        1.0 / 15.0,
        1.0 / 17.0,
        1.0 / 19.0,
        1.0 / 21.0,
        1.0 / 23.0,
        1.0 / 25.0,
    ];
    each(x, |x| {
        let y = 1.0 + x;
        // y is f times a power of two, f between the roots of 1/2 and of 2.
        let power = y.to_bits().wrapping_sub(std::f64::consts::FRAC_1_SQRT_2.to_bits()) >> MANTISSA_BITS;
        let f = f64::from_bits(y.to_bits().wrapping_sub(power << MANTISSA_BITS));
        let power = f64::from_bits(power | INTEGERS.to_bits()) - INTEGERS;
        let s = (f - 1.0) / (f + 1.0);
        let square = s * s;
        // What rounding took from 1 + x.
        let lost = (x - (y - 1.0)) / y;
        let small = 2.0 * s * square * polynomial(&COEFFICIENTS, square) + (power * LN_2.1 + lost);
        power * LN_2.0 + (2.0 * s + small)
    })
}

/// `(exp(power x) - 1) / power`, the integral of `exp(power y)` over y from 0 to x, which is x where power is 0.
pub fn integral_of_exp<const N: usize>(power: f64, x: [f64; N]) -> [f64; N] {
    if power == 0.0 {
        return x;
    }
    exp_m1(x.map(|x| power * x)).map(|grown| grown / power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: f64, expected: f64, what: &str) {
        assert!((found / expected - 1.0).abs() < 1e-15, "{what}: {found}, not {expected}");
    }

    #[test]
    fn they_are_those_of_libm() {
        // Numbers of all sizes, and many between 0 and 50.
        let sizes = (0..3000).map(|i| 1e-300 * 1.26f64.powi(i)).take_while(|x| *x < 1e300);
        for x in sizes.chain((1..50_000).map(|i| f64::from(i) / 997.0)) {
            assert_near(ln_1p([x])[0], x.ln_1p(), &format!("ln(1 + {x})"));
            for x in [x, -x].into_iter().filter(|x| x.abs() < 708.0) {
                assert_near(exp([x])[0], x.exp(), &format!("exp({x})"));
                assert_near(exp_m1([x])[0], x.exp_m1(), &format!("exp({x}) - 1"));
            }
        }
    }

    #[test]
    fn ends_have_a_value() {
        assert_eq!((exp([0.0]), exp_m1([0.0]), ln_1p([0.0])), ([1.0], [0.0], [0.0]));
        assert_eq!(exp([f64::NEG_INFINITY]), exp([-708.0]));
        assert!(exp([f64::INFINITY])[0].is_finite());
        assert!(exp([f64::NAN])[0].is_nan() && exp_m1([f64::NAN])[0].is_nan() && ln_1p([f64::NAN])[0].is_nan());
    }
}
