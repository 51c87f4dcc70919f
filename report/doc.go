// Package report decides: it compares models on the same rows, with honest
// intervals, and says whether the probabilities of a model can be trusted. It has
// the numbers; it draws nothing.
//
// # Two models
//
// Rows keeps of every row of a model what its losses and metrics are made of, a few
// numbers and the classes that are positive or predicted; Compare draws from it:
//
//	rows, err := report.NewRows(n, classes, []string{"zlpr"}, names)
//	// for every batch, of an Accumulator a of the same names:
//	//	a.AddRows(&batch, &out)
//	//	rows.Set(first, batch.Scores.Rows, [][]float64{losses}, &out)
//	comparison, err := report.Compare(ctx, rowsA, rowsB, report.Options{Seed: 1})
//
// The paired bootstrap takes 10,000 resamples and the approximate randomisation
// test as many, both exact in every sum, so that the results do not depend on the
// number of workers or the machine.
//
// # Probabilities
//
// Gather takes the scores and labels of a batch; Fit finds a temperature, or a scale
// and a shift (Platt, "Probabilistic Outputs for Support Vector Machines", 1999); a
// Reliability tells the Brier score, the log loss and the expected calibration error
// in 15 bins, of equal width and of equal mass (whose edges Quantiles finds), with
// what chance alone would make of it. All of them accumulate parts and merge.
package report
