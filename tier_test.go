package zlpr

import (
	"math"
	"os"
	"runtime/debug"
	"testing"

	"github.com/zlpr/zlpr/internal/kernel"
	"github.com/zlpr/zlpr/internal/kernel/kerneltest"
	"github.com/zlpr/zlpr/internal/power"
)

// TestHashes compares the kernels' results with their recorded hashes.
func TestHashes(t *testing.T) {
	kerneltest.Hashes(t, []kerneltest.HashCase{
		kerneltest.Case("sumExp/float32", 0x7e8da2c54d92097f, 0x43e68a5c1c5d1679, hashSumExp[float32]),
		kerneltest.Case("sumExp/float64", 0xc15da92379e50296, 0x25e768adbc9aea63, hashSumExp[float64]),
		kerneltest.Case("scaleExp/float32", 0x54f99f46fb90adfe, 0xf14a50a8d88de2d7, hashScaleExp[float32]),
		kerneltest.Case("scaleExp/float64", 0x69a4ff16d626010e, 0x067c3012281cd8ee, hashScaleExp[float64]),
		kerneltest.Case("scaleExpStream/float32", 0x54f99f46fb90adfe, 0xf14a50a8d88de2d7, hashScaleExpStream[float32]),
		kerneltest.Case("scaleExpStream/float64", 0x69a4ff16d626010e, 0x067c3012281cd8ee, hashScaleExpStream[float64]),
		kerneltest.Case("offset/float32", 0xd366d398fe34bcc0, 0x879f90df6a8029f1, hashOffset[float32]),
		kerneltest.Case("offset/float64", 0x31eee7e670b59d89, 0x6f8d7d3e318390a9, hashOffset[float64]),
	}, forEachTier)
}

func hashSumExp[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	x, stride, rows, n, top := kerneltest.HashedRows[T](r)
	p := kernel.PivotParams[T](math.RoundToEven(top * math.Log2E))
	var sum, err [2]float64
	sumExp(sum[:rows], err[:rows], x, stride, rows, n, &p)
	kerneltest.AddHash(h, sum[:rows]...)
	kerneltest.AddHash(h, err[:rows]...)
}

func hashScaleExp[T Float](h *kerneltest.Hash, r *kerneltest.Rand)       { hashScale[T](h, r, false) }
func hashScaleExpStream[T Float](h *kerneltest.Hash, r *kerneltest.Rand) { hashScale[T](h, r, true) }

func hashScale[T Float](h *kerneltest.Hash, r *kerneltest.Rand, stream bool) {
	x, stride, rows, n, top := kerneltest.HashedRows[T](r)
	p := make([]kernel.RowParams[T], rows)
	for i := range p {
		p[i] = scaleParams[T](power.Number{Hi: r.Positive(1), Exp: int64(top*math.Log2E) + 1})
	}
	dst := make([]T, len(x))
	scale(dst, stride, x, stride, rows, n, p, 1, stream)
	kerneltest.AddHash(h, dst...)
}

func hashOffset[T Float](h *kerneltest.Hash, r *kerneltest.Rand) {
	x, stride, rows, n, _ := kerneltest.HashedRows[T](r)
	m, l, dst := make([]T, rows), make([]T, rows), make([]T, len(x))
	for i := range m {
		m[i], l[i] = T(r.Positive(8)), T(r.Positive(8))
	}
	offset(dst, stride, x, stride, rows, n, m, l)
	kerneltest.AddHash(h, dst...)
}

// TestMain lets garbage, of which the reference makes much, lie longer.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}

// forEachTier runs f as a subtest on every tier that this CPU has.
func forEachTier(t *testing.T, f func(t *testing.T)) {
	kerneltest.ForEachTier(t, kernel.Available(), &kernel.Active, f)
}

// forceTier selects a tier and returns the way back.
func forceTier(tier kernel.Tier) (restore func()) {
	old := kernel.Active
	kernel.Active = tier
	return func() { kernel.Active = old }
}

// TestRequiredTiers fails where a tier that ZLPR_REQUIRE lists is not there.
func TestRequiredTiers(t *testing.T) {
	kerneltest.RequireTiers(t, kernel.Available())
	t.Logf("tiers tested: %v; in use: %v", kernel.Available(), kernel.Active)
}
