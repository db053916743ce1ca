from pydantic import BaseModel, ValidationError, model_validator


class Stay(BaseModel):
    first: int
    last: int

    @model_validator(mode="after")
    def in_order(self):
        if self.last < self.first:
            raise ValueError("the stay ends before it begins")
        return self


class BadInput(Exception):
    pass


def read(row):
    try:
        return Stay.model_validate(row)
    except ValidationError as error:
        raise BadInput(f"row {row} is not a stay") from error


print(read({"first": 5, "last": 3}))
