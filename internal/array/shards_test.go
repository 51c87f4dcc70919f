package array

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMatch: patterns stand for files in natural order, a file that has the name
// of a pattern for itself.
func TestMatch(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"s-10.npy", "s-9.npy", "s-1.npy", "s-01.npy", "s-100.npy", "s-9b.npy", ".s-3.npy", "x[1].npy", "x1.npy", "t.npz"} {
		require.NoError(t, os.WriteFile(name, nil, 0o644))
	}
	match := func(pattern string, want ...string) {
		t.Helper()
		require.True(t, IsPattern(pattern))
		got, err := Match(pattern)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	match("s-*.npy", "s-01.npy", "s-1.npy", "s-9.npy", "s-9b.npy", "s-10.npy", "s-100.npy")
	match("*s-[39].npy", "s-9.npy")
	match(".s*", ".s-3.npy")
	match("t*.npz:scores", "t.npz:scores")
	require.False(t, IsPattern("x[1].npy"))
	require.False(t, IsPattern("missing.npy"))
	require.False(t, IsPattern("t.npz:a*b"))
	_, err := Match("q*.npy")
	require.EqualError(t, err, "q*.npy: no file matches this pattern")
	_, err = Match("q[.npy")
	require.ErrorContains(t, err, "q[.npy: no pattern")
	// The order is a total one.
	names := []string{"a", "a0", "a00", "a1", "a01", "a1b", "a10", "a2", "b", "", "a0b1", "a00b0", "1", "01", "010"}
	rng := rand.New(rand.NewPCG(1, 1))
	want := slices.SortedFunc(slices.Values(names), Natural)
	for range 100 {
		rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		require.Equal(t, want, slices.SortedFunc(slices.Values(names), Natural))
	}
}

// TestConcat: every range of elements is that of one array, in every type that
// it is read as.
func TestConcat(t *testing.T) {
	var all []int32
	var parts []*Array
	for _, rows := range []int{2, 0, 1, 5, 0} {
		var data []int32
		for range 3 * rows {
			data = append(data, int32(len(all)+len(data)))
		}
		all = append(all, data...)
		parts = append(parts, New(string(rune('a'+len(parts))), []int{rows, 3}, data))
	}
	a, err := Concat("all", parts)
	require.NoError(t, err)
	require.Equal(t, []int{8, 3}, a.Shape)
	require.Equal(t, "int32 8×3, 5 shards", a.Describe())
	one := New("one", []int{8, 3}, all)
	for from := range a.Len() + 1 {
		for to := from; to <= a.Len(); to++ {
			require.Equal(t, all[from:to], append([]int32{}, Read[int32](a, nil, from, to)...))
			require.Equal(t, Read[float64](one, nil, from, to), Read[float64](a, nil, from, to))
			integers, err := Integers[int64](a, nil, from, to)
			require.NoError(t, err)
			require.Len(t, integers, to-from)
			if v, ok := View[int32](a, from, to); ok {
				require.Equal(t, all[from:to], append([]int32{}, v...))
			}
			require.Equal(t, all[from:to], append([]int32{}, Copy[int32](a, from, to)...))
		}
		a.WillNeed(from, from+7)
	}
	buffer := make([]float64, 0, a.Len())
	require.Zero(t, testing.AllocsPerRun(10, func() { Read(a, buffer, 1, 20) }))
	as, err := As[int64](a)
	require.NoError(t, err)
	require.Equal(t, All[int64](one), All[int64](as))

	shards := a.Shards.Rows(16) // two rows an entry
	for row, want := range []int{0, 0, 0, 0, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3} {
		require.Equal(t, want, shards.Find(row), row)
	}
	require.Equal(t, 6, shards.Start(3))

	for _, odd := range []*Array{New("odd", []int{2, 4}, make([]int32, 8)), New("odd", []int{6}, make([]int32, 6)),
		New("odd", []int{2, 3}, make([]float64, 6)), New("odd", nil, make([]int32, 1))} {
		_, err := Concat("all", []*Array{parts[0], odd})
		require.ErrorContains(t, err, "odd: a ")
	}
}
