// Package codec turns packets into sound and pictures and back, by the libraries of firmware/codecs.
package codec
