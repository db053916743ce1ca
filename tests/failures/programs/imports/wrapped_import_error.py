def load_reader():
    try:
        import pyarrow_absent.parquet as reader
    except ImportError as error:
        raise RuntimeError("reading parquet needs pyarrow: pip install pyarrow") from error
    return reader


load_reader()
