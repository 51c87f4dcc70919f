package chunk

import "github.com/zlpr/zlpr/internal/kernel"

// Part makes dst a chunk of rows i to end-1 of c, which has no 16-bit scores left. What it
// has of the bits and the gradient is that of c; its losses have a place of their own, as
// what lies past the last row of those is open.
func (c *Chunk[T]) Part(dst *Chunk[T], i, end int) {
	old := *dst
	*dst = *c
	rows := end - i
	dst.First, dst.Rows = c.First+i, rows
	dst.X = c.X[i*c.Stride:]
	dst.Pos, dst.Neg, dst.Live = c.Pos[i*c.Words:end*c.Words], c.Neg[i*c.Words:end*c.Words], c.Live[i:end]
	dst.flat, dst.Target = old.flat, kernel.Resize(old.Target, rows)
	dst.flatPos, dst.flatPart, dst.part = old.flatPos, old.flatPart, old.part
	dst.Fresh()
	if c.Soft != nil {
		dst.Soft = c.Soft[i*c.SoftStride:]
	}
	if c.Teacher != nil {
		dst.Teacher = c.Teacher[i*c.TeacherStride:]
	}
	dst.Threshold = c.Threshold[min(i, len(c.Threshold)):]
	dst.Loss = kernel.Resize(old.Loss, Room(rows))
	dst.Scale = append(old.Scale[:0], c.Scale[min(i, len(c.Scale)):min(end, len(c.Scale))]...)
	for len(dst.Scale) > 0 && len(dst.Scale) < Room(rows) {
		dst.Scale = append(dst.Scale, 0)
	}
	if c.Grad != nil {
		dst.Grad, dst.GradBehind = c.Grad[i*c.GradStride:], 0
	}
	if c.ThresholdGrad != nil {
		dst.ThresholdGrad = c.ThresholdGrad[i:end]
	}
}
