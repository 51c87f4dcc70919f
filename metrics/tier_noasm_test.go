//go:build !amd64 || purego

package metrics

import "testing"

func forEachTier(t *testing.T, f func(t *testing.T)) { t.Run("generic", f) }
