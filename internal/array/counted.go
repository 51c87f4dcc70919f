package array

import (
	"strconv"
	"strings"
)

// Counted is a number of things: "1 row", "2 rows", "0 classes".
func Counted[T ~int | ~int64 | ~uint64](n T, thing string) string {
	many := thing
	switch {
	case n == 1:
	case strings.HasSuffix(thing, "ss"):
		many += "es"
	case strings.HasSuffix(thing, "y"):
		many = many[:len(many)-1] + "ies"
	default:
		many += "s"
	}
	return strconv.FormatInt(int64(n), 10) + " " + many
}
