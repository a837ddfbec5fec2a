//! Gauss-Legendre nodes on -1 to 1 with their weights (Abramowitz, Stegun 25.4.30), computed with 40 digits.

/// 8 nodes, exact to degree 15, and the end, which has no weight: the value there is asked for too.
pub const EIGHT_AND_END: [(f64, f64); 9] = [
    (-0.9602898564975363, 0.10122853629037626),
    (-0.7966664774136267, 0.22238103445337448),
    (-0.525532409916329, 0.31370664587788727),
    (-0.1834346424956498, 0.362683783378362),
    (0.1834346424956498, 0.362683783378362),
    (0.525532409916329, 0.31370664587788727),
    (0.7966664774136267, 0.22238103445337448),
    (0.9602898564975363, 0.10122853629037626),
    (1.0, 0.0),
];

/// 12 nodes, exact to degree 23, and the end.
pub const TWELVE_AND_END: [(f64, f64); 13] = [
    (-0.9815606342467192, 0.04717533638651183),
    (-0.9041172563704749, 0.10693932599531843),
    (-0.7699026741943047, 0.16007832854334622),
    (-0.5873179542866175, 0.20316742672306592),
    (-0.3678314989981802, 0.2334925365383548),
    (-0.1252334085114689, 0.24914704581340277),
    (0.1252334085114689, 0.24914704581340277),
    (0.3678314989981802, 0.2334925365383548),
    (0.5873179542866175, 0.20316742672306592),
    (0.7699026741943047, 0.16007832854334622),
    (0.9041172563704749, 0.10693932599531843),
    (0.9815606342467192, 0.04717533638651183),
    (1.0, 0.0),
];

/// 20 nodes: exact to degree 39.
pub const TWENTY: [(f64, f64); 20] = [
    (-0.9931285991850949, 0.017614007139152118),
    (-0.9639719272779138, 0.04060142980038694),
    (-0.912234428251326, 0.06267204833410907),
    (-0.8391169718222188, 0.08327674157670475),
    (-0.7463319064601508, 0.10193011981724044),
    (-0.636053680726515, 0.11819453196151841),
    (-0.5108670019508271, 0.13168863844917664),
    (-0.37370608871541955, 0.14209610931838204),
    (-0.22778585114164507, 0.14917298647260374),
    (-0.07652652113349734, 0.15275338713072584),
    (0.07652652113349734, 0.15275338713072584),
    (0.22778585114164507, 0.14917298647260374),
    (0.37370608871541955, 0.14209610931838204),
    (0.5108670019508271, 0.13168863844917664),
    (0.636053680726515, 0.11819453196151841),
    (0.7463319064601508, 0.10193011981724044),
    (0.8391169718222188, 0.08327674157670475),
    (0.912234428251326, 0.06267204833410907),
    (0.9639719272779138, 0.04060142980038694),
    (0.9931285991850949, 0.017614007139152118),
];

/// The integral of a function from 0 to `to`, in so many panels of these nodes; the function takes all nodes of a panel at
/// once.
pub(super) fn integral<const N: usize>(
    nodes: &[(f64, f64); N],
    panels: u32,
    to: f64,
    mut function: impl FnMut([f64; N]) -> [f64; N],
) -> f64 {
    let half = to / f64::from(panels) / 2.0;
    let mut sum = 0.0;
    for panel in 0..panels {
        let center = half * f64::from(2 * panel + 1);
        let values = function(nodes.map(|(position, _)| center + half * position));
        for ((_, weight), value) in nodes.iter().zip(values) {
            sum += weight * value;
        }
    }
    half * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_exact<const N: usize>(nodes: &[(f64, f64); N]) {
        let weighted = nodes.iter().filter(|(_, weight)| *weight > 0.0).count();
        let degree = 2 * weighted as i32 - 1;
        let exact = 2f64.powi(degree + 1) / f64::from(degree + 1);
        for panels in [1, 3] {
            let found = integral(nodes, panels, 2.0, |places| places.map(|x| x.powi(degree)));
            assert!((found / exact - 1.0).abs() < 1e-13);
        }
    }

    #[test]
    fn polynomials_are_integrated_exactly() {
        is_exact(&EIGHT_AND_END);
        is_exact(&TWELVE_AND_END);
        is_exact(&TWENTY);
    }
}
