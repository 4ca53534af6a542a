"""QR codes as lines of block characters, for a terminal."""

import io


def blocks(text: str) -> str:
    """`text` as a QR code of half-block characters, two modules a line."""
    import qrcode  # here, because it loads an image library that a node does without

    code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_L, border=2)
    code.add_data(text)
    drawn = io.StringIO()
    code.print_ascii(out=drawn, invert=True)
    return drawn.getvalue().rstrip("\n")
