package zlpr

import (
	"flag"
	"math"
	"math/big"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/zlpr/zlpr/internal/coef"
	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/ref"
	"github.com/zlpr/zlpr/internal/scalar"
)

var exhaustive = flag.Bool("exhaustive", false, "try the float32 exponential on every input, some minutes")

// The bounds of the documentation, pinned here by the worst cases found.
const (
	boundExp32 = 0.892 // ULP; the worst of all inputs is 0.8913 at x = -0x1.765026p+02
	boundExp64 = 0.92  // ULP; worst found 0.8891 at x = -0x1.92069328b283fp+05
	boundLSE   = 1.5   // ULP of max(|result|, 1); worst found 0.8165 (float32) and 0.9822 (float64)

	boundSoftmax = 3.0 // ULP relative
)

// unit is an ULP of 1.
func unit[T Float]() float64 {
	if kernel.IsFloat32[T]() {
		return 0x1p-23
	}
	return 0x1p-52
}

// KernelExp returns e^x as the kernels compute it, where that is a normal number.
func KernelExp[T Float](x T) T {
	p := kernel.RowParams[T]{T(coef.Magic64), -0x1.6232bdd7abcd2p+9, 1}
	if kernel.IsFloat32[T]() {
		p = kernel.RowParams[T]{coef.Magic32, -0x1.5d589ep+6, 1}
	}
	var in, out [64]T
	in[0] = x
	scaleExp(out[:], len(out), in[:], len(in), 1, 1, []kernel.RowParams[T]{p}, 0, 0)
	return out[0]
}

// TestExp32 compares the exponential of the float32 kernels with that of
// scalar, whose error of 2^-53 is nothing here: on every input with
// -exhaustive, else on every 4099th. Inputs below 2^-12 in magnitude count too.
func TestExp32(t *testing.T) {
	stride := uint64(4099)
	if *exhaustive {
		stride = 1
	}
	type worst struct {
		err float64
		x   float32
	}
	workers := runtime.GOMAXPROCS(0)
	found := make([]worst, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			const size = 4096
			var x, y [size]float32
			n := 0
			check := func() {
				scaleExp(y[:], size, x[:], size, 1, n, []kernel.RowParams[float32]{{coef.Magic32, -0x1.5d589ep+6, 1}}, 0, 0)
				for i, v := range x[:n] {
					want := scalar.Exp(float64(v))
					_, e := math.Frexp(want)
					if err := math.Abs(float64(y[i])-want) * math.Ldexp(1, 24-e); err > found[w].err {
						found[w] = worst{err, v}
					}
				}
				n = 0
			}
			for b := uint64(w) * stride; b < 1<<32; b += uint64(workers) * stride {
				v := math.Float32frombits(uint32(b))
				if v >= -0x1.5d589ep+6 && v < 88.37 {
					x[n] = v
					if n++; n == size {
						check()
					}
				}
			}
			check()
		})
	}
	wg.Wait()
	all := worst{}
	for _, f := range found {
		if f.err > all.err {
			all = f
		}
	}
	t.Logf("worst error %.4f ULP at x = %x", all.err, all.x)
	if all.err > boundExp32 {
		t.Errorf("error above %v ULP", boundExp32)
	}
}

// TestExp64 compares the exponential of the float64 kernels with a reference of
// about 2^-68, a table of e^(i/2^12) and a series: on 10^7 inputs, and in
// big.Float on those that come out worst.
func TestExp64(t *testing.T) {
	var worst, at float64
	rng := rand.New(rand.NewPCG(1, 2))
	const size = 4096
	var x, y [size]float64
	rounds := 2500
	if testing.Short() {
		rounds = 100
	}
	for round := range rounds {
		for i := range x {
			switch round % 4 {
			case 0:
				x[i] = rng.Float64()*1416 - 708
			case 1:
				x[i] = rng.NormFloat64() * 4
			case 2: // near the ends of the reduced range
				x[i] = (float64(rng.IntN(2000)-1000) + 0.5 + rng.NormFloat64()*1e-4) * math.Ln2
			case 3:
				x[i] = rng.NormFloat64() * math.Exp(-40*rng.Float64())
			}
		}
		scaleExp(y[:], size, x[:], size, 1, size, []kernel.RowParams[float64]{{coef.Magic64, -0x1.6232bdd7abcd2p+9, 1}}, 0, 0)
		for i, v := range x {
			if err := expError(v, y[i]); err > worst {
				if exact := ref.ULPs(y[i], ref.Exp(ref.New(v))); math.Abs(exact-err) > 1e-3 {
					t.Fatalf("the reference is off at %x: %v, %v", v, err, exact)
				}
				worst, at = err, v
			}
		}
	}
	t.Logf("worst error %.4f ULP at x = %x", worst, at)
	if worst > boundExp64 {
		t.Errorf("error above %v ULP", boundExp64)
	}
}

// expTable is e^(i/4096), |i| ≤ 1420, in two parts.
var expTable = sync.OnceValue(func() *[2 * 1421][2]float64 {
	var table [2 * 1421][2]float64
	for i := range table {
		e := ref.Exp(ref.New(float64(i-1421) / 4096))
		hi, _ := e.Float64()
		lo, _ := ref.Sub(e, ref.New(hi)).Float64()
		table[i] = [2]float64{hi, lo}
	}
	return &table
})

// expError returns the error of y as e^x in ULPs.
func expError(x, y float64) float64 {
	// x = n·ln(2) + i/4096 + r; ln(2) in three parts of which the first two
	// have 32 bits each: their products with n are exact.
	const l1, l2, l3 = 0x1.62e42fefp-1, 0x1.473de6af2p-34, 0x1.e3b39803f2f6ap-72
	n := math.RoundToEven(x * math.Log2E)
	a := x - n*l1 // exact
	b := n * l2
	s := a - b
	sErr := (a - s) - b - n*l3
	i := math.RoundToEven(s * 4096)
	r := s - i/4096 // exact
	p := sErr + r*r*(0.5+r*(1./6+r*(1./24+r/120)))
	// e^(r + …) - 1 = r + p, times the table's hi + lo.
	t := expTable()[int(i)+1421]
	hi := t[0] * r
	lo := math.FMA(t[0], r, -hi) + t[0]*p + t[1]*(1+r)
	sum := t[0] + hi
	sumErr := hi - (sum - t[0]) + lo
	y = math.Ldexp(y, -int(n))
	_, e := math.Frexp(sum)
	return math.Abs(y-sum-sumErr) * math.Ldexp(1, 53-e)
}

// exps caches e^x.
type exps map[float64]*big.Float

func (c exps) exp(x float64) *big.Float {
	if c[x] == nil {
		c[x] = ref.Exp(ref.New(x))
	}
	return c[x]
}

// lseError returns the error of LogSumExp(x) in ULP of max(|result|, 1).
func lseError[T Float](x []T, cache exps) float64 {
	// Equal scores are counted.
	var values []T
	var counts []int64
	for _, v := range x {
		i := slices.Index(values, v)
		if i < 0 {
			i = len(values)
			values, counts = append(values, v), append(counts, 0)
		}
		counts[i]++
	}
	sum := new(big.Float).SetPrec(400)
	for i, v := range values {
		sum.Add(sum, ref.Mul(cache.exp(float64(v)), new(big.Float).SetInt64(counts[i])))
	}
	want := ref.Log(sum)
	return ref.AbsError(LogSumExp(x), want, ref.One(want), unit[T]())
}

// TestLogSumExpError searches for the largest error: random rows of a few
// lengths and scales, equal scores, one large score and many small, each
// improved by hill climbing.
func TestLogSumExpError(t *testing.T) {
	kerneltest.ForBothTypes(t, testLogSumExpError[float32], testLogSumExpError[float64])
}

func testLogSumExpError[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	worst, at := 0.0, ""
	try := func(name string, x []T, cache exps) float64 {
		err := lseError(x, cache)
		if err > worst {
			worst, at = err, name
			if len(x) < 6 {
				t.Logf("%.4f %s %x", err, name, x)
			}
		}
		return err
	}
	rounds := 400
	if testing.Short() {
		rounds = 50
	}
	for range rounds {
		n := 1 + rng.IntN(40)
		scale := math.Exp(rng.Float64()*8 - 4)
		x := make([]T, n)
		for i := range x {
			x[i] = T(rng.NormFloat64() * scale)
		}
		cache := exps{}
		err := try("random", x, cache)
		for range 20 {
			i := rng.IntN(n)
			old := x[i]
			x[i] = T(float64(old) * (1 + rng.NormFloat64()*math.Exp(-20*rng.Float64())))
			if e := try("random, improved", x, cache); e > err {
				err = e
			} else {
				x[i] = old
			}
		}
	}
	// Equal scores, n a power of two and not, to 2^24.
	for range rounds {
		n := 1 << rng.IntN(14)
		if rng.IntN(2) == 0 {
			n = 1 + rng.IntN(1<<14)
		}
		x := make([]T, n)
		v := T(rng.NormFloat64() * math.Exp(rng.Float64()*6-3))
		for i := range x {
			x[i] = v
		}
		try("equal", x, exps{})
	}
	if !testing.Short() {
		for _, n := range []int{1 << 20, 1<<24 - 1, 1 << 24} {
			x := make([]T, n)
			v := T(rng.NormFloat64())
			for i := range x {
				x[i] = v
				if i%3 == 0 {
					x[i] = -v
				}
			}
			try("two values, many", x, exps{})
		}
	}
	// One large score and small ones of about half an ULP of its exponential.
	for range rounds {
		n := 2 + rng.IntN(64)
		x := make([]T, n)
		top := rng.NormFloat64() * 5
		for i := range x {
			x[i] = T(top + math.Log(unit[T]()/2) + rng.Float64() - 0.5)
		}
		x[rng.IntN(n)] = T(top)
		cache := exps{}
		err := try("one large", x, cache)
		for range 20 {
			i := rng.IntN(n)
			old := x[i]
			x[i] += T(rng.NormFloat64() * 0.1)
			if e := try("one large, improved", x, cache); e > err {
				err = e
			} else {
				x[i] = old
			}
		}
	}
	t.Logf("worst error %.4f ULP: %s", worst, at)
	if worst > boundLSE {
		t.Errorf("error above %v ULP", boundLSE)
	}
}
