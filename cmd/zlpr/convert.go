package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/internal/array"
	"github.com/zlpr/zlpr/internal/source"
	"github.com/zlpr/zlpr/internal/sparse"
)

type convertFlags struct {
	readFlags
	in, out, from, to string
	as                string
	columns           int
	path, key, how    string // of out
}

// What convert takes a file for, and formats that content does not tell.
var (
	contents  = []string{"scores", "labels"}
	inFormats = []string{"csv", "libsvm", "xmc", "bits"}
)

func newConvert(s *session) *cobra.Command {
	var f convertFlags
	cmd := &cobra.Command{
		Use:   "convert IN OUT",
		Short: "Write scores or labels in another format",
		Long: `Reads scores or labels as eval does, whatever format they are in, one file or
shards, and writes them to one file of another format: as the ending of OUT says,
or --to.

  .npy             an array
  .npz             a sparse matrix by rows (csr), as scipy.sparse.save_npz writes
                   it; OUT.npz:key, or --to npz: an array
  .safetensors     a tensor, OUT.safetensors:key
  .csv, .tsv       a row to a line
  .svm, .libsvm    lines of label,label,… or of class:score
  .txt             as the extreme classification repository: rows and columns in
                   the first line, then lines of class:1 or class:score
  --to csc         a sparse matrix by columns, 16 bytes of memory an entry
  --to bits        an .npy of uint64: a bit a label, the lowest first, each row in
                   words of its own; --from bits --columns N reads it

Numbers stay as they are: arrays keep their type, text has all digits. A score
that a sparse format does not list is -Inf, a label 0. A file in which all numbers
are 0 and 1 has labels, which are written as uint8; all others are scores.
Integers of one axis are class numbers. What libsvm text cannot say, a row
without labels, is an error. Memory is constant but for CSC.`,
		Example: `  zlpr convert S.csv S.npy
  zlpr convert 'out/scores-*.npy' scores.npy
  zlpr convert Y.npy Y.txt
  zlpr convert trn_X_Y.txt Y.npz --as labels`,
		RunE: func(_ *cobra.Command, _ []string) error { return runConvert(s, &f) },
	}
	f.table().declare(cmd, s, f.check)
	f.set = cmd.Flags().Changed
	return cmd
}

// table is the flags of convert.
func (f *convertFlags) table() flagTable {
	return append(flagTable{
		{name: "in", to: &f.in, file: input, arg: true, doc: "`file`, pattern or manifest to read"},
		{name: "out", to: &f.out, file: output, arg: true, doc: "`file` to write"},
		{name: "from", to: &f.from, words: inFormats, doc: "what the input is, where its content does not tell: " + strings.Join(inFormats, ", ")},
		{name: "to", to: &f.to, words: outFormats, doc: "format of the output: " + strings.Join(outFormats, ", ") + "\n(default: as its ending says)"},
		{name: "as", to: &f.as, words: contents, doc: "scores or labels (default: labels where all numbers are 0 and 1)"},
		{name: "columns", to: &f.columns, doc: "number of columns of text, bits and class numbers, which may not say"},
	}, f.readFlags.table(true)...)
}

// check checks what can be checked without the files.
func (f *convertFlags) check() (err error) {
	switch {
	case f.in == "" || f.out == "":
		return usagef("give the file to read and the one to write: zlpr convert IN OUT")
	case f.from != "" && !slices.Contains(inFormats, f.from):
		return usagef("--from %q: choose %s; other formats are recognised by their content", f.from, strings.Join(inFormats, ", "))
	case f.as != "" && !slices.Contains(contents, f.as):
		return usagef("--as %q: choose scores or labels", f.as)
	case f.set("columns") && f.columns < 1:
		return usagef("--columns %d: at least 1", f.columns)
	case f.from == "bits" && f.columns == 0:
		return usagef("--from bits: say by --columns how many columns the bits are of")
	case f.from == "bits" && f.as == "scores":
		return usagef("--from bits: bits are labels")
	}
	f.path, f.key, f.how, err = checkOutput(f.out, f.to)
	return err
}

func runConvert(s *session, f *convertFlags) error {
	if err := f.begin(); err != nil {
		return err
	}
	m, err := f.open()
	if err != nil {
		return err
	}
	defer m.Close()
	if err := f.end(); err != nil {
		return err
	}
	s.warnings = f.warnings
	if f.set("columns") && !m.counted {
		return usagef("--columns goes with text, bits and class numbers; it has no effect here")
	}
	if m.rows == 0 || m.cols == 0 {
		return array.Faultf(f.in, "empty: %s of %s; there is nothing to convert", array.Counted(m.rows, "row"), array.Counted(m.cols, "column"))
	}
	if m.cols > math.MaxInt32 {
		return array.Faultf(f.in, "%s are more than an index of 32 bits holds", array.Counted(m.cols, "column"))
	}
	if m.key = f.key; m.key == "" {
		m.key = map[bool]string{true: "labels", false: "scores"}[m.labels]
	}
	if err := f.convert(s, m); err != nil {
		return err
	}
	return s.finish(func(w io.Writer) error {
		what := map[bool]string{true: "labels", false: "scores"}[m.labels]
		_, err := fmt.Fprintf(w, "%s %d × %d: %s (%s) → %s (%s)\n", what, m.rows, m.cols, quoted(f.in), m.describe, quoted(f.out), f.how)
		return err
	})
}

// convert writes the matrix.
func (f *convertFlags) convert(s *session, m *inMatrix) error {
	raw := m.array != nil && !m.labels && slices.Contains([]string{"npy", "npz", "safetensors"}, f.how)
	if raw && (m.array.Type != array.BFloat16 || f.how == "safetensors") { // numpy has no bfloat16
		m.dtype = m.array.Type
	} else {
		raw = raw && m.array.Type == m.dtype
	}
	dense := !slices.Contains([]string{"csr", "csc", "libsvm", "xmc", "bits"}, f.how)
	if dense {
		if err := source.Check(f.in, m.source); err != nil {
			return err
		}
	}
	out, err := s.out.newRowWriter(f.path, f.how, m.matrixInfo)
	if err != nil {
		return err
	}
	defer out.discard()
	bar := s.progress("convert", m.rows)
	defer bar.close()
	var b rowBlock
	size := blockRows(m.rows, m.cols)
	if !dense && m.array == nil { // rows are as long as what they list
		size = 1 << 12
	}
	for r0 := 0; r0 < m.rows; r0 += size {
		r1 := min(r0+size, m.rows)
		if raw {
			ahead(m.array, r0*m.cols, r1*m.cols)
			err = out.(*denseWriter).copy(m.array, r0*m.cols, r1*m.cols)
		} else if err = m.read(&b, r0, r1); err == nil {
			err = out.write(&b)
		}
		if err != nil {
			return err
		}
		bar.add(r1 - r0)
	}
	return out.finish()
}

// An inMatrix is a matrix that is read, in rows.
type inMatrix struct {
	matrixInfo
	source   source.Source
	describe string
	array    *array.Array // of scores in an array, or nil
	counted  bool         // whether --columns had an effect
	read     func(b *rowBlock, r0, r1 int) error
}

func (m *inMatrix) Close() error { return m.source.Close() }

// open opens the input. Where nobody says whether it has scores or labels, it is
// read as numbers first, which tell.
func (f *convertFlags) open() (*inMatrix, error) {
	cols := -1
	if f.columns > 0 {
		cols = f.columns
	}
	switch f.from {
	case "csv":
		f.options.Text = source.Table
	case "libsvm", "xmc":
		f.options.Text = source.Lists
	}
	use, part := source.Features, source.Part("")
	as, err := f.kind()
	if err != nil {
		return nil, err
	}
	switch as {
	case "scores":
		part = source.Scores
	case "labels":
		use, part = source.Labels, source.LabelsPart
	}
	opened, besides, err := f.options.OpenAll(f.in, part, use, cols)
	if err != nil {
		return nil, err
	}
	labels := as == "labels" || f.from == "bits"
	a, isArray := opened.(*array.Array)
	if besides != nil {
		defer besides.Close()
	}
	if as == "" && !labels {
		if labels, err = f.hasLabels(opened, besides); err != nil {
			opened.Close()
			return nil, err
		}
		if labels && !isArray { // whose repeated entries, and labels before features, are others
			opened.Close()
			if path, _ := array.Split(f.in); readOnce(path) {
				return nil, array.Faultf(f.in, "lists of labels; say --as labels, since they can be read only once")
			}
			if opened, err = f.options.OpenPart(f.in, part, source.Labels, cols); err != nil {
				return nil, err
			}
		}
	}
	m := &inMatrix{source: opened, describe: opened.Describe()}
	m.labels, m.dtype = labels, array.Uint8
	m.rows, m.cols = opened.Dims()
	m.shape = []int{m.rows, m.cols}
	if isArray && len(a.Shape) > 1 {
		m.shape = slices.Clone(a.Shape)
	}
	m.counted = !isArray && f.options.Lists
	switch {
	case labels:
		err = f.openLabels(m, opened, cols)
	case isArray && a.Shards != nil && len(a.Shape) == 1:
		err = array.Faultf(a.Shards.Names[0], "scores of one axis in a shard; write them as rows×classes")
	case isArray && !a.Type.IsFloat():
		err = array.Faultf(f.in, "scores of type %s; write them as float16, float32 or float64", a.Type)
	default:
		m.scores(opened)
	}
	if err != nil {
		opened.Close()
		return nil, err
	}
	return m, nil
}

// kind is what to read a file as: what --as says or, of a manifest, what it lists.
func (f *convertFlags) kind() (string, error) {
	if f.as != "" || !source.IsManifest(f.in) {
		return f.as, nil
	}
	m, err := f.options.Manifest(f.in)
	switch {
	case err != nil:
		return "", err
	case m.Has(source.Scores) && m.Has(source.LabelsPart):
		return "", usagef("%s lists scores and labels; say --as scores or --as labels", quoted(f.in))
	case m.Has(source.LabelsPart):
		return "labels", nil
	}
	return "scores", nil
}

// hasLabels tells whether what was read as numbers has labels.
func (f *convertFlags) hasLabels(opened source.Source, besides *sparse.Matrix) (bool, error) {
	switch a := opened.(type) {
	case *array.Array:
		return !a.Type.IsFloat() || onlyBits(a), nil
	case *sparse.Matrix:
		switch {
		case besides != nil && len(a.Indices) > 0:
			return false, array.Faultf(f.in, "both labels and features; say --as labels for the labels")
		case besides != nil || a.Values == nil || !a.Values.Type.IsFloat():
			return true, nil
		}
		return onlyBits(a.Values), nil
	}
	return false, nil
}

// onlyBits tells whether all numbers are 0 or 1.
func onlyBits(a *array.Array) bool {
	var buffer []float64
	for from := 0; from < a.Len(); from += blockScores {
		for _, v := range elements(a, &buffer, from, min(from+blockScores, a.Len())) {
			if v != 0 && v != 1 {
				return false
			}
		}
	}
	return true
}

// scores makes the reader of scores.
func (m *inMatrix) scores(opened source.Source) {
	m.missing = math.Inf(-1)
	if m.dtype = array.Float32; slices.Contains([]array.DType{array.Float64, array.Int32, array.Uint32, array.Int64, array.Uint64}, opened.DType()) {
		m.dtype = array.Float64
	}
	switch a := opened.(type) {
	case *array.Array:
		m.array = a
		var singles []float32
		var doubles []float64
		m.read = func(b *rowBlock, r0, r1 int) error {
			ahead(a, r0*m.cols, r1*m.cols)
			if b.rows = r1 - r0; m.dtype == array.Float64 {
				b.double = elements(a, &doubles, r0*m.cols, r1*m.cols)
			} else {
				b.single = elements(a, &singles, r0*m.cols, r1*m.cols)
			}
			return nil
		}
	case *sparse.Matrix:
		var buffer []float64
		m.read = func(b *rowBlock, r0, r1 int) error {
			from, to := b.take(a, r0, r1)
			b.values = elements(a.Values, &buffer, from, to)
			return nil
		}
	}
}

// take makes the lists of a block those of rows of a sparse matrix, and returns
// where its values are.
func (b *rowBlock) take(m *sparse.Matrix, r0, r1 int) (from, to int) {
	first := m.RowPtr[r0]
	b.rows, b.ptr, b.indices = r1-r0, b.ptr[:0], m.Indices[first:m.RowPtr[r1]]
	for _, p := range m.RowPtr[r0 : r1+1] {
		b.ptr = append(b.ptr, p-first)
	}
	return int(first), int(m.RowPtr[r1])
}

// openLabels makes the reader of labels, which are checked.
func (f *convertFlags) openLabels(m *inMatrix, opened source.Source, cols int) (err error) {
	shards := shardsOf(opened, m.rows)
	where := func(row, class int) (file, place string) { return placeInShard(f.in, shards, row, class) }
	var bits bitSource
	switch a := opened.(type) {
	case *sparse.Matrix:
		if f.from == "bits" {
			return array.Faultf(f.in, "a sparse matrix, where bits are an array")
		}
		m.read = func(b *rowBlock, r0, r1 int) error { return f.readLists(b, a, r0, r1, where) }
		return nil
	case *array.Array:
		switch {
		case f.from == "bits":
			bits, err = newPackedBits(a, f.in, f.columns)
			m.counted = true
		case len(a.Shape) == 1 && !a.Type.IsFloat() && a.Type != array.Bool:
			shards = shardsOf(a, a.Len())
			f.targets, m.counted = true, true
			targets, fault := newTargets(a, cols, int64(f.ignore), func(row int) (file, place string) { return where(row, -1) })
			if fault != nil {
				return fault
			}
			if n := targets.ignored; n > 0 {
				f.options.Warn(fmt.Sprintf("%s: %s whose class number is ignored: as labels they have none, and count; leave them out by a mask or by row weights", quoted(f.in), array.Counted(n, "row")))
			}
			bits = targets
		default:
			bits = &denseBits{a, m.rows, m.cols}
		}
		if err != nil {
			return err
		}
	}
	if r, c := bits.dims(); r != m.rows || c != m.cols {
		m.rows, m.cols, m.shape = r, c, []int{r, c}
	}
	width := (m.cols + 63) / 64
	var words []uint64
	m.read = func(b *rowBlock, r0, r1 int) error {
		words = slices.Grow(words[:0], (r1-r0)*width)[:(r1-r0)*width]
		if err := bits.block(r0, r1).ReadRows(words, 0, r1-r0); err != nil {
			return explainAt(err, func(_ string, row, class int) (file, place string) { return where(r0+row, class) })
		}
		b.list(&zlpr.BitLabels{Rows: r1 - r0, Cols: m.cols, Words: words, Stride: width})
		return nil
	}
	return nil
}

// readLists reads labels from a sparse matrix: explicit zeros are none.
func (f *convertFlags) readLists(b *rowBlock, a *sparse.Matrix, r0, r1 int, where func(row, class int) (file, place string)) error {
	from, to := b.take(a, r0, r1)
	if b.values = b.values[:0]; a.Values == nil {
		return nil
	}
	for k, v := range array.Read[float64](a.Values, nil, from, to) {
		if v != 0 && v != 1 {
			row, _ := slices.BinarySearch(b.ptr, int64(k)+1)
			file, place := where(r0+row-1, int(b.indices[k]))
			return array.Faultf(file, "%s: label %v is neither 0 nor 1; %s", place, v, advice[zlpr.LabelNotBinary].text)
		}
		b.values = append(b.values, v)
	}
	return nil
}

// packedBits are labels as bits.
type packedBits struct {
	*array.Array
	rows, classes int
}

// newPackedBits returns the labels of an array of words of 64 bits.
func newPackedBits(a *array.Array, name string, classes int) (*packedBits, error) {
	width := (classes + 63) / 64
	rows, words := a.Rows()
	if a.Type != array.Uint64 && a.Type != array.Int64 || words != width {
		return nil, array.Faultf(name, "%s, where bits of %s are uint64 of %d to a row", a.Describe(), array.Counted(classes, "column"), width)
	}
	b := &packedBits{a, rows, classes}
	if classes%64 == 0 {
		return b, nil
	}
	for i := range rows {
		if last := b.words(i, i+1)[width-1]; last>>(classes%64) != 0 {
			file, at, of := inShard(name, shardsOf(a, rows), i)
			return nil, array.Faultf(file, "row %d%s: bits beyond column %d are set; is --columns right?", at, of, classes-1)
		}
	}
	return b, nil
}

func (b *packedBits) name() string              { return b.Name }
func (b *packedBits) dims() (rows, classes int) { return b.rows, b.classes }
func (b *packedBits) block(r0, r1 int) zlpr.Bits {
	return &zlpr.BitLabels{Rows: r1 - r0, Cols: b.classes, Words: b.words(r0, r1), Stride: (b.classes + 63) / 64}
}

// words returns the words of rows.
func (b *packedBits) words(r0, r1 int) []uint64 {
	width := (b.classes + 63) / 64
	words := make([]uint64, 0, (r1-r0)*width)
	for _, v := range array.Read[int64](b.Array, nil, r0*width, r1*width) {
		words = append(words, uint64(v))
	}
	return words
}
