import smtplib
from email.message import EmailMessage


def send(text):
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Trips", "a@example.org", "b@example.org"
    message.set_content(text)
    with smtplib.SMTP("127.0.0.1", 9, timeout=2) as server:
        server.send_message(message)


send("Three nights in Lisbon.")
