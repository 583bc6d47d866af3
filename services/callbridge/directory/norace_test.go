//go:build !race

package directory

const scale = 10_000
