//go:build race

package audio

const raced = true
