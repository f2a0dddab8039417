"""What int8 needs beside a runtime's quantizer: ranges, sensitivity, and ways to lose less."""
